import re
import secrets

import clickhouse_connect
import psycopg
import pytest
from support.databases import with_database

from schemas.settings import Settings
from sinks.catalogue import load_catalogue
from sinks.catalogue_rates import add_rate
from sinks.ledger_verify import verify_ledger
from sinks.migrate import (
    DATABASES,
    Database,
    MigrationError,
    _to_dbmate,
    migrate_down,
    migrate_status,
    migrate_up,
    migrations,
)
from sinks.postgres import connect

_DANGER = re.compile(r"\bDROP\s+(TABLE|COLUMN|DATABASE|PARTITION)\b|\bTRUNCATE\b(?!\s+ON\b)", re.I)


def ups(sql: str) -> list[str]:
    return re.findall(r"-- migrate:up(.*?)(?=-- migrate:down|\Z)", sql, re.S)


def dangers(sql: str) -> list[str]:
    """Statements that lose data without an explicit `-- danger:` comment."""
    return [
        statement.strip()
        for up in ups(sql)
        for statement in re.sub(r"\$\$.*?\$\$|'[^']*'", "", up, flags=re.S).split(";")
        if "-- danger:" not in statement
        and _DANGER.search(re.sub("--.*", "", statement))
        and not re.search(r"CREATE (CONSTRAINT )?TRIGGER", statement)
    ]


@pytest.mark.parametrize("database", DATABASES)
def test_no_migration_up_loses_data_unless_it_says_so(database: Database) -> None:
    for path in migrations(database):
        assert dangers(path.read_text()) == [], f"{path.name}: add `-- danger: why` if it must be"


def test_the_danger_check_can_fail() -> None:
    up = "-- migrate:up\n{}\n-- migrate:down\nDROP TABLE x;"
    assert dangers(up.format("CREATE TABLE x (); -- DROP TABLE y")) == []
    assert dangers(up.format("-- danger: empty since 2025\nDROP TABLE y;")) == []
    for bad in ("drop table y;", "ALTER TABLE y\n DROP\n COLUMN z;", "TRUNCATE y;"):
        assert len(dangers(up.format(bad))) == 1


@pytest.mark.parametrize("database", DATABASES)
def test_migrations_are_numbered_and_go_both_ways(database: Database) -> None:
    found = migrations(database)
    assert [path.name[:5] for path in found] == [f"{n:04d}_" for n in range(1, len(found) + 1)]
    for path in found:
        sections = re.findall(r"^-- migrate:(up|down)\b", path.read_text(), re.M)
        assert sections == ["up", "down"] * (len(sections) // 2) != [], path.name


@pytest.mark.parametrize(
    ("database", "url", "expected", "environment"),
    [
        ("postgres", "postgresql://u:p%2F@h:1/d", "postgres://u:p%2F@h:1/d?sslmode=prefer", {}),
        (
            "postgres",
            "postgresql://u@/d?host=%2Frun%2Fpg&sslmode=disable",
            "postgres://u@/d?host=%2Frun%2Fpg&sslmode=disable",
            {},
        ),
        ("clickhouse", "http://u:p%2F@h:1/d", "clickhouse+http://u:p%2F@h:1/d", {}),
        (
            "clickhouse",
            "https://u:p@h/d?ca_cert=/etc/ca.pem&verify=false&compress=lz4",
            "clickhouse+https://u:p@h:8443/d?secure=true&skip_verify=true",
            {"SSL_CERT_FILE": "/etc/ca.pem"},
        ),
    ],
)
def test_urls_as_dbmate_reads_them(
    database: Database, url: str, expected: str, environment: dict[str, str]
) -> None:
    assert _to_dbmate(database, url) == (expected, environment)


@pytest.mark.services
def test_up_down_up(stack: Settings) -> None:
    name = f"migrated_{secrets.token_hex(4)}"
    own = stack.model_copy(
        update={service: with_database(stack.url(service), name) for service in DATABASES}
    )
    for _ in range(2):
        assert "Applied: 0001_" in migrate_up(own)
        assert "[ ]" not in migrate_status(own)
        assert migrate_up(own) == ""
        full = schema(own)
        assert {"campaigns", "accruals", "views", "raise_catalogue_version()"} <= full
        for database in DATABASES:
            migrate_down(own, len(migrations(database)), [database])
        assert schema(own) == {"schema_migrations"}
    migrate_up(own)
    assert schema(own) == full


def schema(settings: Settings) -> set[str]:
    """Names of the tables of both databases and of the functions and types of Postgres."""
    with connect(settings) as conn:
        rows = conn.execute(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S')"
            " AND relnamespace = 'public'::regnamespace UNION ALL"
            " SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    with clickhouse_connect.get_client(dsn=settings.url("clickhouse")) as client:
        tables = client.query("SHOW TABLES").result_columns
    return {name for (name,) in rows} | {name for column in tables for name in column}


@pytest.mark.services
def test_one_step_back_keeps_the_rest(stack: Settings) -> None:
    name = f"migrated_{secrets.token_hex(4)}"
    url = with_database(stack.url("postgres"), name)
    own = stack.model_copy(update={"postgres": url})
    migrate_up(own, ["postgres"])
    migrate_down(own, databases=["postgres"])
    status = migrate_status(own, ["postgres"])
    assert status.count("[ ]") == 1
    assert status.index("[X]") < status.index("[ ]")
    with pytest.raises(MigrationError, match="down of postgres: can't rollback"):
        migrate_down(own, 99, ["postgres"])


def test_says_which_database_does_not_answer_and_no_password() -> None:
    nowhere = Settings(postgres="postgresql://u:geheim@127.0.0.1:1/d")
    with pytest.raises(MigrationError, match=r"migrate up of postgres: .*refused") as error:
        migrate_up(nowhere, ["postgres"])
    assert "geheim" not in str(error.value)


@pytest.mark.services
def test_the_money_rules_keep_what_was_there_before(stack: Settings) -> None:
    url = with_database(stack.url("postgres"), f"migrated_{secrets.token_hex(4)}")
    own = stack.model_copy(update={"postgres": url})
    migrate_up(own, ["postgres"])
    later = len(migrations("postgres")) - 5
    migrate_down(own, later, ["postgres"])
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO campaigns"
            " (campaign_id, currency, rate_micros, budget_micros, starts_at, ends_at, status)"
            " VALUES ('c', 'EUR', 2500, 5000, '2025-01-01', '2027-01-01', 'active')"
        )
        conn.execute(
            """
            WITH accounts AS (
                INSERT INTO accounts (kind, owner_id, currency) VALUES
                    ('campaign_funding', 'c', 'EUR'), ('campaign_budget', 'c', 'EUR'),
                    ('promoter_pending', 'p', 'EUR') RETURNING account_id, kind),
            journals AS (
                INSERT INTO journals (kind, idempotency_key, fingerprint, description)
                VALUES ('funding', 'f', sha256(''), ''), ('accrual', 'a', sha256(''), '')
                RETURNING journal_id, kind)
            INSERT INTO entries (journal_id, account_id, amount_micros)
            SELECT journal_id, account_id, amount
            FROM (VALUES
                ('funding', 'campaign_funding', -5000), ('funding', 'campaign_budget', 5000),
                ('accrual', 'campaign_budget', -2500), ('accrual', 'promoter_pending', 2500))
                AS wanted (journal, account, amount)
            JOIN journals ON journals.kind = journal JOIN accounts ON accounts.kind = account
            """
        )
        conn.execute(
            "INSERT INTO accruals (partition, scored_from, scored_next, campaign_id, promoter_id,"
            " currency, rate_micros, log_hour, views, amount_micros, capped_views, capped_micros,"
            " journal_id) SELECT 0, 0, 1, 'c', 'p', 'EUR', 2500, '2025-10-09 23:00Z', 1, 2500,"
            " 2, 5000, journal_id FROM journals WHERE kind = 'accrual'"
        )
    migrate_up(own, ["postgres"])
    with connect(own) as conn:
        assert load_catalogue(conn).campaigns["c"].rate_micros == 2500
        assert verify_ledger(conn) == []
        (day,) = conn.execute("SELECT day::text, spent_micros FROM campaign_days").fetchall()
        assert day == ("2025-10-09", 2500)
        add_rate(conn, "c", 3000, None)
    migrate_down(own, later, ["postgres"])
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT rate_micros FROM campaigns").fetchall() == [(3000,)]
        assert conn.execute("SELECT amount_micros FROM accruals").fetchall() == [(2500,)]
