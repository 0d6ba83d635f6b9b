"""What a superuser does to the ledger behind its triggers is found, and said where."""

from collections.abc import Iterator

import psycopg
import pytest
from support.stores import empty_store
from support.whole_ledger import everything_once

from schemas.settings import Settings
from sinks.chain import check_chain, seal
from sinks.ledger_verify import discrepancies, verify_ledger
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def ledger(stack: Settings) -> Settings:
    """A ledger in which everything happened once."""
    store = empty_store(stack, "postgres")
    with connect(store) as conn:
        everything_once(conn)
        seal(conn)
    return store


@pytest.fixture
def owner(ledger: Settings) -> Iterator[Connection]:
    """Whoever owns the tables; nothing stays, and no trigger fires."""
    with (
        psycopg.connect(ledger.url("postgres"), autocommit=True) as conn,
        conn.transaction(force_rollback=True),
    ):
        conn.execute("SET LOCAL session_replication_role = replica")
        yield conn


def test_what_the_product_did_is_sound(ledger: Settings) -> None:
    with connect(ledger) as conn:
        assert verify_ledger(conn) == []


SETTLED = "line_id = (SELECT min(line_id) FROM payout_lines WHERE status = 'settled')"
DRAFTED = "line_id = (SELECT min(line_id) FROM payout_lines WHERE status = 'drafted')"
FIRST = "batch_id = (SELECT min(batch_id) FROM payout_batches)"
BALANCE = (
    "UPDATE balances SET balance_micros = balance_micros {} FROM accounts"
    " WHERE accounts.account_id = balances.account_id AND kind = '{}'"
)
TAMPER = {
    "reversal is another amount": (
        (
            "UPDATE entries SET amount_micros = 2 * amount_micros WHERE journal_id ="
            " (SELECT min(journal_id) FROM journals WHERE kind = 'reversal')"
        ),
        "a reversal takes back its journal",
        "journal",
    ),
    "accrual reversed by nobody's correction": (
        "DELETE FROM corrections WHERE correction_id = 1",
        "what is reversed or booked anew has a correction",
        "journal",
    ),
    "correction of more views": (
        "UPDATE corrections SET views = 100000 WHERE correction_id = 2",
        "no more is corrected than was paid",
        "accrual 1",
    ),
    "correction of another amount": (
        "UPDATE corrections SET fee_micros = fee_micros + 1 WHERE correction_id = 2",
        "the journals of a correction differ by the correction",
        "correction 2 fee platform",
    ),
    "correction of another journal": (
        "UPDATE corrections SET reversal_id = 1 WHERE correction_id = 2",
        "a correction begins with what was booked last",
        "correction 2",
    ),
    "settled more": (
        "UPDATE settled_accruals SET net_micros = net_micros + 1 WHERE settled_id = 1",
        "what was settled is what was earned, less the corrections before",
        "settled_accruals settled_id 1 (accrual 1)",
    ),
    "settled by another journal": (
        (
            "UPDATE settled_accruals SET journal_id ="
            " (SELECT max(journal_id) FROM journals WHERE kind = 'settlement') WHERE settled_id = 1"
        ),
        "a settlement moves what its accruals say",
        "journal",
    ),
    "accrual never settled": (
        "DELETE FROM settled_accruals WHERE settled_id = 1",
        "pending is what was accrued and not settled",
        "p-",
    ),
    "line of another amount": (
        (
            "UPDATE payout_lines SET gross_micros = gross_micros + 10000,"
            " amount_micros = amount_micros + 10000, amount_minor = amount_minor + 1"
            f" WHERE {DRAFTED}"
        ),
        "a line's journal moves what the line says",
        "journal",
    ),
    "line transfers more than it says": (
        f"UPDATE payout_lines SET amount_minor = 10 * amount_minor WHERE {DRAFTED}",
        "nobody is paid less than nothing, and amounts add up",
        "payout_lines line_id",
    ),
    "line pays less than nothing": (
        (
            "ALTER TABLE payout_lines DROP CONSTRAINT payout_lines_gross_micros_check,"
            " DROP CONSTRAINT payout_lines_amount_minor_check;"
            " UPDATE payout_lines SET gross_micros = -gross_micros,"
            " amount_micros = -gross_micros - withheld_micros, amount_minor = -amount_minor"
            f" WHERE {DRAFTED}"
        ),
        "nobody is paid less than nothing, and amounts add up",
        "payout_lines line_id",
    ),
    "line of another promoter": (
        f"UPDATE payout_lines SET promoter_id = 'mallory' WHERE {DRAFTED}",
        "a line's journal moves what the line says",
        "journal",
    ),
    "line is settled without a journal": (
        f"UPDATE payout_lines SET status = 'settled' WHERE {DRAFTED}",
        "a line is what its journals say",
        "payout_lines line_id",
    ),
    "settled line is open again": (
        f"UPDATE payout_lines SET status = 'exported' WHERE {SETTLED}",
        "a line is what its journals say",
        "payout_lines line_id",
    ),
    "cancelled line is open again": (
        "UPDATE payout_lines SET status = 'drafted' WHERE status = 'cancelled'",
        "clearing, bank and tax hold what the lines say",
        "payout_clearing p-",
    ),
    "line lost": (
        f"DELETE FROM payout_lines WHERE {DRAFTED}",
        "a line's journal moves what the line says",
        "journal",
    ),
    "nothing was netted": (
        "UPDATE payout_lines SET netted_micros = 0",
        "what was netted from a line was moved",
        "payout_lines line_id",
    ),
    "batch is closed": (
        "UPDATE payout_batches SET status = 'cancelled' WHERE status = 'draft'",
        "a batch is what its lines are",
        "payout_batches batch_id",
    ),
    "nobody noted it": (
        "DELETE FROM payout_events WHERE became = 'settled'",
        "a line and a batch are what was noted last",
        "payout_lines line_id",
    ),
    "a step in between is gone": (
        "DELETE FROM payout_events WHERE became = 'approved' AND line_id IS NOT NULL",
        "what was noted follows",
        "payout_events event_id",
    ),
    "signed by another": (
        f"UPDATE payout_batches SET approved_by = 'carl' WHERE {FIRST}",
        "a batch was signed by those who were noted",
        "payout_batches batch_id",
    ),
    "signed by one person": (
        (
            "ALTER TABLE payout_batches DROP CONSTRAINT four_eyes;"
            f" UPDATE payout_batches SET approved_by = 'anna' WHERE {FIRST};"
            " UPDATE payout_events SET actor = 'anna'"
        ),
        "a batch was signed by those who were noted",
        "payout_batches batch_id",
    ),
    "head of another chain": (
        f"UPDATE payout_batches SET chain_head = sha256('') WHERE {FIRST}",
        "a batch was approved on a head of the chain",
        "payout_batches batch_id",
    ),
    "payee that never was": (
        f"UPDATE payout_lines SET payee_version = 99 WHERE {DRAFTED}",
        "a line was paid to a payee that there was",
        "payout_lines line_id",
    ),
    "file lost": (
        "DELETE FROM payout_files",
        "exported batches have files, and only they",
        "payout_batches batch_id",
    ),
    "bank has less": (
        BALANCE.format("- 1", "bank"),
        "clearing, bank and tax hold what the lines say",
        "bank platform EUR",
    ),
    "promoter has more": (
        BALANCE.format("+ 1", "promoter_payable"),
        "a promoter's money is what was earned and not corrected",
        "p-",
    ),
    "fees have more": (
        BALANCE.format("+ 1", "platform_fee"),
        "all money that campaigns paid is somewhere",
        "EUR",
    ),
    "budget has more": (
        BALANCE.format("+ 1", "campaign_budget"),
        "what is left of a budget is what was funded and not paid",
        "c-",
    ),
    "debt above zero": (
        BALANCE.format("+ 1000000000", "promoter_debt"),
        "only funding and debts are below zero",
        "promoter_debt p-",
    ),
    "account that may owe": (
        "UPDATE balances SET may_go_negative = true",
        "a balance may go below zero where its account may",
        "balances account_id",
    ),
    "netting from another": (
        (
            "UPDATE entries SET account_id = (SELECT min(account_id) FROM accounts"
            " WHERE kind = 'campaign_budget') WHERE amount_micros < 0 AND journal_id ="
            " (SELECT min(journal_id) FROM journals WHERE kind = 'netting')"
        ),
        "funding and netting stay with their owner",
        "journal",
    ),
    "funding taken back": (
        (
            "ALTER TABLE journals DROP CONSTRAINT reversals_say_of_what;"
            " UPDATE journals SET reverses_id = 1 WHERE journal_id = 2"
        ),
        "only what was accrued, corrected or paid out is reversed",
        "journal 1 funding",
    ),
    "accrual of more": (
        (
            "ALTER TABLE accruals DROP CONSTRAINT fee_per_view;"
            " UPDATE accruals SET fee_micros = 0 WHERE accrual_id = 1"
        ),
        "an accrual is what its views come to",
        "accrual 1",
    ),
}


@pytest.mark.parametrize(("statement", "check", "where"), TAMPER.values(), ids=list(TAMPER))
def test_tampering_is_found(owner: Connection, statement: str, check: str, where: str) -> None:
    owner.execute(statement)
    found = discrepancies(owner)
    assert any(one.check.startswith(check) and one.subject.startswith(where) for one in found), (
        found
    )


PARENTS = {
    "entries": ["journals", "accounts"],
    "accounts": ["balances"],
    "balances": ["accounts"],
    "accruals": ["journals"],
    "settled_accruals": ["accruals", "journals"],
    "corrections": ["accruals", "journals"],
    "payout_lines": ["payout_batches", "promoters", "journals"],
    "payout_events": ["payout_batches", "payout_lines"],
    "payout_files": ["payout_batches"],
    "campaign_rates": ["campaigns"],
}


@pytest.mark.parametrize(
    ("child", "parent"), [(child, parent) for child, all_ in PARENTS.items() for parent in all_]
)
def test_orphans_are_found(owner: Connection, child: str, parent: str) -> None:
    owner.execute(f"DELETE FROM {parent}")
    found = [one for one in discrepancies(owner) if one.check.startswith("every row")]
    assert any(one.subject.startswith(child + " ") for one in found) or len(found) == 100


OTHER = {
    "bigint": "{} + 1000",
    "integer": "{} + 1",
    "text": "{} || 'x'",
    "boolean": "NOT {}",
    "date": "{} + 1",
    "timestamp with time zone": "{} + interval '1 second'",
    "bytea": "sha256({})",
}
UNPROVEN = {
    # Nothing follows from these any more once the batch is drafted.
    ("payout_batches", "idempotency_key"),
    ("payout_batches", "until"),
    ("payout_batches", "min_micros"),
    ("payout_batches", "format"),
    ("payout_batches", "execution_date"),
    ("balances", "account_id"),
}


def test_any_column_of_what_the_chain_does_not_cover(owner: Connection) -> None:
    """Balances, days, batches and lines do change: they must agree with rows that do not."""
    columns = owner.execute(
        """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, NULL)
        FROM pg_attribute
        WHERE attrelid IN ('balances'::regclass, 'campaign_days'::regclass,
                'payout_batches'::regclass, 'payout_lines'::regclass)
            AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY 1, attnum
        """
    ).fetchall()
    for table, column, kind in columns:
        if (table, column) in UNPROVEN:
            continue
        with owner.transaction(force_rollback=True):
            for (constraint,) in owner.execute(
                "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass"
                " AND contype IN ('c', 'u')",
                (table,),
            ).fetchall():
                owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
            if kind == "bigint" and column.endswith("_id"):
                owner.execute(f"ALTER TABLE {table} ALTER {column} DROP IDENTITY IF EXISTS")
            changed = owner.execute(
                f"UPDATE {table} SET {column} = {OTHER[kind].format(column)}"
                f" WHERE ctid = (SELECT min(ctid) FROM {table} WHERE {column} IS NOT NULL)"
            )
            assert changed.rowcount == 1, (table, column)
            assert discrepancies(owner) or check_chain(owner).tampered, f"{table}.{column}"
