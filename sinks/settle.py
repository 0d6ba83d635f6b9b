"""Settlement: what has passed its hold goes from pending to payable."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from sinks.ledger import Entry, Journal, lock_balances, open_accounts, post
from sinks.postgres import Connection, retry_conflicts


class Settled(NamedTuple):
    """What a settlement moved in one currency."""

    currency: str
    promoters: int
    accruals: int
    micros: int


class SettleError(Exception):
    """What was asked for cannot be; says why."""


_DUE = """
    CREATE TEMP TABLE due ON COMMIT DROP AS
    SELECT accrual_id, promoter_id, currency,
        amount_micros - fee_micros - coalesce(corrected.net_micros, 0) AS net_micros
    FROM accruals
    JOIN campaigns USING (campaign_id, currency)
    LEFT JOIN (SELECT accrual_id, sum(amount_micros - fee_micros)::bigint AS net_micros
               FROM corrections GROUP BY accrual_id) AS corrected USING (accrual_id)
    WHERE journal_id IS NOT NULL
        AND booked_at + make_interval(hours => hold_hours) <= {until}
        AND NOT EXISTS (SELECT FROM settled_accruals
                        WHERE settled_accruals.accrual_id = accruals.accrual_id)
"""
"""The hold begins when a view is booked: after its log time, and never before it was judged."""


@retry_conflicts
def settle(
    conn: Connection, until: datetime | None = None, *, dry_run: bool = False
) -> list[Settled]:
    """Moves everything whose hold ended at `until`, in one transaction. Again, it does nothing.

    Args:
        conn: a connection that is in no transaction.
        until: now, by the clock of the database, if None.
        dry_run: only say what would be moved.

    Raises:
        SettleError: `until` is in the future.
    """
    with conn.transaction():
        lock_payouts(conn)
        _check(conn, until)
        # Every currency of a campaign is that of its accruals: it cannot change once booked.
        bound = "now()" if until is None else "%(until)s"
        conn.execute(_DUE.format(until=bound).encode(), {"until": until} if until else None)
        sums = conn.execute(
            "SELECT promoter_id, currency, min(accrual_id), count(*), sum(net_micros)::bigint"
            " FROM due GROUP BY promoter_id, currency ORDER BY promoter_id, currency"
        ).fetchall()
        if not dry_run:
            _move(conn, sums)
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for _, currency, _, accruals, micros in sums:
        for i, more in enumerate((1, accruals, micros)):
            found[currency][i] += more
    return [Settled(currency, *counts) for currency, counts in sorted(found.items())]


def lock_payouts(conn: Connection) -> None:
    """One at a time settles, corrects, drafts or takes in answers; booking goes on."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('viewledger payouts'))")


def _check(conn: Connection, until: datetime | None) -> None:
    (now,) = conn.execute("SELECT now()").fetchall()[0]
    if until is not None and until > now:
        raise SettleError(
            f"--until {until.isoformat()} is in the future (the database has {now.isoformat()}): "
            "nothing is paid before its hold has passed"
        )


def _move(conn: Connection, sums: list[tuple[str, str, int, int, int]]) -> None:
    moved = [row for row in sums if row[4] > 0]
    owners = [(promoter, currency) for promoter, currency, *_ in moved]
    pending = open_accounts(conn, "promoter_pending", owners)
    payable = open_accounts(conn, "promoter_payable", owners)
    lock_balances(conn, [*pending.values(), *payable.values()])
    journals = [
        Journal(
            "settlement",
            f"settlement:{first}",  # an accrual is settled once
            f"{accruals} accruals of {promoter} have passed their hold",
            (
                Entry(pending[promoter, currency], -micros),
                Entry(payable[promoter, currency], micros),
            ),
        )
        for promoter, currency, first, accruals, micros in moved
    ]
    ids = post(conn, journals)
    conn.execute(
        """
        INSERT INTO settled_accruals (accrual_id, net_micros, journal_id)
        SELECT accrual_id, net_micros, CASE WHEN net_micros > 0 THEN journal_id END
        FROM due
        LEFT JOIN unnest(%s::text[], %s::text[], %s::bigint[])
            AS posted (promoter_id, currency, journal_id) USING (promoter_id, currency)
        ORDER BY accrual_id
        """,
        ([row[0] for row in moved], [row[1] for row in moved], ids),
    )
