"""Books the valid views of scored blocks in the ledger, together with the position in the log."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from schemas.fencing import Position, Progress
from sinks.book_accrue import Accrual, Demand, accrue, demand
from sinks.book_budget import lock_budgets, record_days
from sinks.book_post import Place, post_accruals
from sinks.postgres import Connection, retry_conflicts


class Booked(NamedTuple):
    """What one transaction booked."""

    views: int
    """Paid."""
    capped_views: int
    """Valid, but not covered by their budget."""
    amount_micros: dict[str, int]
    """Paid by the campaigns, the fee included, by currency."""
    capped_micros: dict[str, int]
    """Not covered, by currency."""
    journals: int


class MovedError(Exception):
    """Somebody else has booked this partition: the caller's position is not the ledger's."""

    def __init__(self, partition: int, expected: Progress, found: Progress) -> None:
        super().__init__(
            f"partition {partition} is at {found} in the ledger and not at {expected}: "
            "somebody else books it too; load the progress and go on from there"
        )
        self.found = found


def load_progress(conn: Connection) -> dict[int, Progress]:
    """Where the ledger stands, by partition; a partition that never booked is missing."""
    rows = conn.execute("SELECT partition, epoch, writer, next_raw, next_scored FROM book_progress")
    return {
        partition: Progress(Position(*position), next_scored)
        for partition, *position, next_scored in rows
    }


def book(
    conn: Connection,
    partition: int,
    before: Progress,
    after: Progress,
    accepted: Sequence[pa.Table],
) -> Booked:
    """Books the blocks between two positions of one partition, in one transaction.

    Every valid view is paid from its campaign's budget, the fee to the platform and the rest to
    its promoter's pending account, in log order and as long as the budget and that of the day
    cover it; the others are recorded as capped, as are those of a campaign without a budget
    account.

    Args:
        conn: a connection that is in no transaction.
        accepted: accepted views of the taken blocks in between, in log order, with at least
            the columns `sinks.book_accrue.COLUMNS`.

    Raises:
        MovedError: the ledger is not at `before`; nothing was booked.
        psycopg.OperationalError: the connection was lost; booked was all or nothing, and
            `load_progress` on a new connection tells which.
    """
    wanted = demand(accepted)
    return _book(conn, partition, before, after, wanted)


@retry_conflicts
def _book(
    conn: Connection, partition: int, before: Progress, after: Progress, wanted: Demand
) -> Booked:
    with conn.transaction():
        _lock_progress(conn, partition, before)
        accounts, budgets = lock_budgets(conn, wanted)
        accruals = accrue(wanted, budgets)
        place = Place(partition, before.next_scored, after.next_scored)
        journals = post_accruals(conn, place, accounts, accruals)
        record_days(conn, accruals)
        conn.execute(
            "UPDATE book_progress SET epoch = %s, writer = %s, next_raw = %s, next_scored = %s,"
            " updated_at = now() WHERE partition = %s",
            (*after.position, after.next_scored, partition),
        )
    return _summary(accruals, journals)


def _lock_progress(conn: Connection, partition: int, before: Progress) -> None:
    conn.execute(
        "INSERT INTO book_progress (partition) VALUES (%s) ON CONFLICT DO NOTHING", (partition,)
    )
    row = conn.execute(
        "SELECT epoch, writer, next_raw, next_scored FROM book_progress"
        " WHERE partition = %s FOR UPDATE",
        (partition,),
    ).fetchone()
    assert row is not None
    found = Progress(Position(*row[:3]), row[3])
    if found != before:
        raise MovedError(partition, before, found)


def _summary(accruals: list[Accrual], journals: int) -> Booked:
    amount: dict[str, int] = defaultdict(int)
    capped: dict[str, int] = defaultdict(int)
    for row in accruals:
        amount[row.currency] += row.amount_micros
        capped[row.currency] += row.capped_micros
    return Booked(
        sum(row.views for row in accruals),
        sum(row.capped_views for row in accruals),
        dict(amount),
        dict(capped),
        journals,
    )
