"""Books the valid views of scored blocks in the ledger, together with the position in the log."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from schemas.fencing import Position, Progress
from sinks.book_accrue import Accrual, Demand, accrue, demand
from sinks.ledger import Entry, Journal, Owner, find_accounts, lock_balances, open_accounts, post
from sinks.postgres import Connection, retry_conflicts


class Booked(NamedTuple):
    """What one transaction booked."""

    views: int
    """Paid."""
    capped_views: int
    """Valid, but not covered by their budget."""
    amount_micros: dict[str, int]
    """Paid, by currency."""
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

    Every valid view is paid from its campaign's budget to its promoter's pending account, in
    log order and as long as the budget covers it; the others are recorded as capped, as are
    those of a campaign without a budget account.

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
        budgets = find_accounts(conn, "campaign_budget", wanted.owners)
        balances = lock_balances(conn, budgets.values())
        left = [balances[budgets[o]] if o in budgets else 0 for o in wanted.owners]
        accruals = accrue(wanted, left)
        journals = _post(conn, partition, before, after, budgets, accruals)
        _record(conn, partition, before, after, journals, accruals)
        conn.execute(
            "UPDATE book_progress SET epoch = %s, writer = %s, next_raw = %s, next_scored = %s,"
            " updated_at = now() WHERE partition = %s",
            (*after.position, after.next_scored, partition),
        )
    return _summary(accruals, len(journals))


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


def _post(
    conn: Connection,
    partition: int,
    before: Progress,
    after: Progress,
    budgets: dict[Owner, int],
    accruals: list[Accrual],
) -> dict[Owner, int]:
    """One journal per budget that pays; returns their ids."""
    earned: dict[Owner, dict[Owner, int]] = defaultdict(lambda: defaultdict(int))
    for row in accruals:
        if row.views:
            campaign = earned[row.campaign_id, row.currency]
            campaign[row.promoter_id, row.currency] += row.amount_micros
    promoters = {promoter for campaign in earned.values() for promoter in campaign}
    pending = open_accounts(conn, "promoter_pending", promoters)
    place = f"{partition}:{before.next_scored}"
    description = f"views.scored {partition} [{before.next_scored}, {after.next_scored})"
    journals = [
        Journal(
            "accrual",
            f"accrual:{place}:{campaign}:{currency}",
            f"valid views of {campaign} in {description}",
            (
                Entry(budgets[campaign, currency], -sum(amounts.values())),
                *(Entry(pending[promoter], amount) for promoter, amount in amounts.items()),
            ),
        )
        for (campaign, currency), amounts in earned.items()
    ]
    return dict(zip(earned, post(conn, journals), strict=True))


def _record(
    conn: Connection,
    partition: int,
    before: Progress,
    after: Progress,
    journals: dict[Owner, int],
    accruals: list[Accrual],
) -> None:
    if not accruals:
        return
    conn.execute(
        """
        INSERT INTO accruals (
            campaign_id, promoter_id, currency, rate_micros, log_hour, views, capped_views,
            amount_micros, capped_micros, journal_id, partition, scored_from, scored_next)
        SELECT *, %s, %s, %s FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        """,
        (
            *(partition, before.next_scored, after.next_scored),
            *(list(column) for column in zip(*accruals, strict=True)),
            [row.amount_micros for row in accruals],
            [row.capped_micros for row in accruals],
            [journals[row.campaign_id, row.currency] if row.views else None for row in accruals],
        ),
    )


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
