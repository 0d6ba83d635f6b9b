"""What was exported, what is in the files and what the bank answered are the same."""

from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest
from support.bank_replies import booking, detail, statement
from support.ledger import name
from support.payees import new_keys
from support.payouts import PAYER, TODAY, earn, new_campaign, new_promoter
from support.stores import empty_store

from schemas.payout import Answer
from schemas.seal_keys import Keys
from schemas.settings import Settings
from sinks.payouts.answers import import_answers, mark
from sinks.payouts.approve import approve, cancel
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.postgres import Connection, connect
from sinks.reconcile_payouts import Files, Payouts, check_answers, check_files, load_payouts
from sinks.reconcile_totals import Books, load_books
from sinks.settle import settle

pytestmark = pytest.mark.services


class Paid(NamedTuple):
    settings: Settings
    keys: Keys


@pytest.fixture(scope="module")
def paid(stack: Settings) -> Paid:
    """Five lines: cancelled, settled by the bank, returned and failed by hand, not answered."""
    store, keys = empty_store(stack, "postgres"), new_keys()
    with connect(store) as conn:
        campaign = new_campaign(conn)
        for _ in range(5):
            earn(conn, campaign, new_promoter(conn, keys), 5000)
        settle(conn)
        batch = draft(conn, "EUR", None, 0, actor="anna", key=name()).batch
        assert batch is not None
        cancelled, settled, returned, failed, _ = (line.line_id for line in batch.lines)
        cancel(conn, batch.batch_id, cancelled, actor="anna", reason="wait")
        approve(conn, batch.batch_id, actor="ben")
        export(conn, keys, PAYER, batch.batch_id, "pain.001.001.09", TODAY, actor="anna")
        said = statement(booking("5.00", detail(f"VL{settled}")))
        import_answers(conn, "statement.xml", said, actor="anna")
        for line_id, outcome in [(returned, "settled"), (returned, "returned"), (failed, "failed")]:
            answer = Answer(reference=f"VL{line_id}", outcome=outcome)
            mark(conn, line_id, answer, actor="anna")
    return Paid(store, keys)


@pytest.fixture
def owner(paid: Paid) -> Iterator[Connection]:
    """Whoever owns the tables; nothing stays, and no trigger fires."""
    with (
        psycopg.connect(paid.settings.url("postgres"), autocommit=True) as conn,
        conn.transaction(force_rollback=True),
    ):
        conn.execute("SET LOCAL session_replication_role = replica")
        yield conn


def test_all_agrees(paid: Paid) -> None:
    with connect(paid.settings) as conn:
        found = check_files(conn, paid.keys)
        assert found == (Files(1, 1, 4, {"EUR": 20_000_000}), [])
        assert check_answers(conn) == []
        assert load_payouts(conn) == {
            "EUR": Payouts(
                batches=1,
                lines=4,
                micros=20_000_000,
                waiting_lines=1,
                waiting_micros=5_000_000,
                settled_lines=1,
                settled_micros=5_000_000,
                failed_lines=1,
                returned_lines=1,
                back_micros=10_000_000,
                by_bank=1,
                by_hand=3,
            )
        }
        assert load_books(conn) == {
            "EUR": Books(25_000_000, 0, 0, 15_000_000, 0, 5_000_000, 5_000_000, 0, 0)
        }


def test_without_keys_the_files_are_counted_and_not_read(paid: Paid) -> None:
    with connect(paid.settings) as conn:
        assert check_files(conn, None) == (Files(1), [])
        assert check_files(conn, new_keys("other")) == (Files(1), [])


FILES = "transfers in the files = exported lines"
EACH = "a file pays each exported line"
READ = "stored files can be read"
CHANGED = "a line changed as the bank answered, and only so"
AMOUNT = "the bank answered about the amount of the line"
PLANTED = {
    "line of more": (
        "UPDATE payout_lines SET amount_minor = amount_minor + 1 WHERE status = 'exported'",
        {FILES, EACH},
    ),
    "line lost": ("DELETE FROM payout_lines WHERE status = 'exported'", {FILES, EACH}),
    "cancelled line is back": (
        "UPDATE payout_lines SET status = 'exported' WHERE status = 'cancelled'",
        {FILES, EACH},
    ),
    "file of another currency": ("UPDATE payout_batches SET currency = 'USD'", {FILES, EACH}),
    "other bytes": ("UPDATE payout_files SET sealed = sealed || 'x'::bytea", {READ}),
    "other hash": ("UPDATE payout_files SET sha256 = repeat('0', 64)", {READ}),
    "other format": ("UPDATE payout_batches SET format = 'paypal'", {READ}),
    "answer lost": ("DELETE FROM bank_answers", {CHANGED}),
    "answer not applied": ("UPDATE bank_answers SET applied = false", {CHANGED}),
    "answer of another line": ("UPDATE bank_answers SET line_id = line_id + 1", {CHANGED}),
    "answer of another outcome": ("UPDATE bank_answers SET outcome = 'failed'", {CHANGED}),
    "nobody noted the change": (
        "DELETE FROM payout_events WHERE became = 'settled'",
        {CHANGED},
    ),
    "answer of another amount": ("UPDATE bank_answers SET amount_minor = 501", {AMOUNT}),
}


@pytest.mark.parametrize(("statement", "checks"), PLANTED.values(), ids=list(PLANTED))
def test_planted_differences_are_found(
    owner: Connection, paid: Paid, statement: str, checks: set[str]
) -> None:
    owner.execute(statement)
    found = check_files(owner, paid.keys)[1] + check_answers(owner)
    assert checks <= {difference.check for difference in found} <= checks | {AMOUNT}


def test_a_difference_says_which_line(owner: Connection, paid: Paid) -> None:
    owner.execute("UPDATE payout_lines SET amount_minor = 501 WHERE status = 'exported'")
    total, *each = check_files(owner, paid.keys)[1]
    assert (total.expected, total.found) == (
        "4 transfers, 2001 minor units",
        "4 transfers, 2000 minor units",
    )
    (line,) = owner.execute("SELECT 'VL' || line_id FROM payout_lines WHERE amount_minor = 501")
    assert {difference.where for difference in each} == {f"payout batch 1, {line[0]}"}
