import pytest
from support.ledger import name

from schemas.settings import Settings
from sinks.chain import seal, unsealed, verify_chain
from sinks.ledger import Entry, Journal, open_accounts, post
from sinks.postgres import Connection

pytestmark = pytest.mark.services


def move(conn: Connection, amount: int = 100) -> int:
    owner = (name(), "EUR")
    source = open_accounts(conn, "campaign_funding", [owner])[owner]
    budget = open_accounts(conn, "campaign_budget", [owner])[owner]
    entries = (Entry(source, -amount), Entry(budget, amount))
    with conn.transaction():
        return post(conn, [Journal("funding", name("key"), "a test", entries)])[0]


def test_what_is_sealed_stays_and_new_rows_get_new_links(conn: Connection) -> None:
    move(conn)
    assert seal(conn) > 0
    first = verify_chain(conn)
    assert first.tampered == []
    assert unsealed(conn) == 0
    assert seal(conn) == 0
    move(conn)
    assert unsealed(conn) == 4  # two accounts, one journal with its entries
    assert seal(conn) == 5
    second = verify_chain(conn, expected_head=first.head)
    assert second.tampered == []
    assert second.rows == first.rows + 5
    assert verify_chain(conn, expected_head=b"x" * 32).tampered != []


# Every column of every chained table: another value of the same type.
_OTHER = {
    "bigint": "{} + 1",
    "text": "{} || 'x'",
    "boolean": "NOT {}",
    "timestamp with time zone": "{} + interval '1 second'",
    "bytea": "{} || '\\x00'::bytea",
    "xid8": "'1'::xid8",
    "text[]": "{} || 'x'::text",
}


def columns(conn: Connection) -> list[tuple[str, str, str, str]]:
    return conn.execute(
        """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, NULL), attgenerated::text
        FROM pg_attribute
        WHERE (attrelid IN (SELECT name::regclass FROM chained_tables)
               OR attrelid = 'chain_links'::regclass)
            AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum
        """
    ).fetchall()


def test_a_change_of_any_column_of_any_row_is_found(conn: Connection, owner: Connection) -> None:
    move(conn)
    seal(conn)
    tried = 0
    for table, column, kind, generated in columns(conn):
        if generated:
            continue  # follows from others, and cannot be written
        with owner.transaction(force_rollback=True):
            # An attacker with all rights: triggers and constraints are off.
            owner.execute("SET LOCAL session_replication_role = replica")
            if (column, table) == ("kind", "accounts"):
                other = "CASE {} WHEN 'bank' THEN 'platform_fee' ELSE 'bank' END"
            elif (column, table) == ("kind", "journals"):
                other = "'netting'"
            elif column == "currency":
                other = "'XXX'"
            elif column == "fingerprint" or column == "hash":
                other = "sha256({})"
            elif column == "reverses_id":
                other = "1"
            else:
                other = _OTHER[kind]
            last = f"(SELECT ctid FROM {table} ORDER BY ctid DESC LIMIT 1)"
            where = f"WHERE ctid = {last}"
            if table == "entries":
                where += (
                    f" AND tableoid = (SELECT tableoid FROM {table} ORDER BY ctid DESC LIMIT 1)"
                )
            if table == "journals" and column == "reverses_id":
                owner.execute("ALTER TABLE journals DROP CONSTRAINT reversals_say_of_what")
            changed = owner.execute(f"UPDATE {table} SET {column} = {other.format(column)} {where}")
            assert changed.rowcount == 1, (table, column)
            found = verify_chain(owner).tampered
            assert found, f"{table}.{column} was changed and nobody noticed"
            if table != "chain_links":
                assert any(one.where.startswith(table) for one in found), (table, column, found)
            tried += 1
    assert tried > 20


def test_a_deleted_row_and_a_deleted_link_are_found(conn: Connection, owner: Connection) -> None:
    journal_id = move(conn)
    seal(conn)
    for statement in (
        f"DELETE FROM entries WHERE journal_id = {journal_id}",
        "DELETE FROM chain_links WHERE link_id = (SELECT max(link_id) - 1 FROM chain_links)",
    ):
        with owner.transaction(force_rollback=True):
            owner.execute("SET LOCAL session_replication_role = replica")
            owner.execute(statement)
            assert verify_chain(owner).tampered != []
    assert verify_chain(conn).tampered == []


@pytest.fixture
def owner(books: Settings) -> Connection:
    import psycopg

    return psycopg.connect(books.url("postgres"), autocommit=True)
