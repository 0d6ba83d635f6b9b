"""Corrections: views that were booked and turn out not to be valid.

The journal that booked them is reversed and booked anew without them, in one statement. What the
promoter got too much is taken from where it is by now: pending, else payable, else it becomes a
debt, which the next payout nets.
"""

from typing import NamedTuple

from sinks.ledger import (
    PLATFORM,
    Entry,
    Journal,
    Owner,
    lock_balances,
    open_accounts,
    post,
    reversals,
)
from sinks.postgres import Connection, retry_conflicts
from sinks.settle import lock_payouts


class CorrectionError(Exception):
    """The correction is not possible; says why."""


class Corrected(NamedTuple):
    """What a correction did."""

    correction_id: int
    amount_micros: int
    """Back in the budget of the campaign."""
    net_micros: int
    """Taken from the promoter."""
    debt_micros: int
    """Of it, what became a debt now."""


class _Accrual(NamedTuple):
    journal_id: int
    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    fee_per_view: int
    left: int
    """Paid views that are not corrected."""
    settled: bool


@retry_conflicts
def correct(
    conn: Connection, accrual_id: int, views: int, *, reason: str, actor: str, key: str
) -> Corrected:
    """Takes `views` of an accrual back.

    Args:
        conn: a connection that is in no transaction.
        key: the same key again does nothing and returns what was done.

    Raises:
        CorrectionError: there is no such accrual, or it has not so many views.
    """
    with conn.transaction():
        lock_payouts(conn)
        return take_back(conn, accrual_id, views, reason=reason, actor=actor, key=key)


def take_back(
    conn: Connection, accrual_id: int, views: int, *, reason: str, actor: str, key: str
) -> Corrected:
    """As `correct`, within the caller's transaction, which holds `lock_payouts`."""
    done = _done_before(conn, accrual_id, views, key)
    if done is not None:
        return done
    accrual = _load(conn, accrual_id)
    if not 0 < views <= accrual.left:
        raise CorrectionError(
            f"accrual {accrual_id} has {accrual.left} paid views: {views} cannot be taken back"
        )
    current = _current_journal(conn, accrual.journal_id)
    back = reversals(conn, [current], "corrected", reason)[0]
    legs, debt = _legs(conn, accrual, views)
    entries: dict[int, int] = {entry.account_id: -entry.amount_micros for entry in back.entries}
    for account_id, amount in legs:
        entries[account_id] = entries.get(account_id, 0) + amount
    rebooked = Journal(
        "correction",
        f"correction:{key}",
        f"{views} views of accrual {accrual_id} are not valid: {reason}",
        tuple(Entry(account, amount) for account, amount in entries.items() if amount),
    )
    # In one statement, so that only the difference has to be covered.
    ids = post(conn, [back, rebooked] if rebooked.entries else [back])
    gross, fee = views * accrual.rate_micros, views * accrual.fee_per_view
    row = conn.execute(
        "INSERT INTO corrections (accrual_id, views, amount_micros, fee_micros, reason, actor,"
        " idempotency_key, reversal_id, rebooked_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING correction_id",
        (accrual_id, views, gross, fee, reason, actor, key, *(*ids, None)[:2]),
    ).fetchone()
    assert row is not None
    return Corrected(row[0], gross, gross - fee, debt)


def _done_before(conn: Connection, accrual_id: int, views: int, key: str) -> Corrected | None:
    row = conn.execute(
        "SELECT accrual_id, views, correction_id, amount_micros, amount_micros - fee_micros"
        " FROM corrections WHERE idempotency_key = %s",
        (key,),
    ).fetchone()
    if row is None:
        return None
    if row[:2] != (accrual_id, views):
        raise CorrectionError(
            f"the key {key!r} was used for {row[1]} views of accrual {row[0]}: take a new one"
        )
    return Corrected(row[2], row[3], row[4], 0)


def _load(conn: Connection, accrual_id: int) -> _Accrual:
    row = conn.execute(
        """
        SELECT journal_id, campaign_id, promoter_id, currency, rate_micros,
            CASE WHEN views > 0 THEN fee_micros / views ELSE 0 END,
            views - coalesce((SELECT sum(views) FROM corrections
                              WHERE corrections.accrual_id = accruals.accrual_id), 0)::bigint,
            EXISTS (SELECT FROM settled_accruals
                    WHERE settled_accruals.accrual_id = accruals.accrual_id)
        FROM accruals WHERE accrual_id = %s
        """,
        (accrual_id,),
    ).fetchone()
    if row is None or row[0] is None:
        raise CorrectionError(f"there is no paid accrual {accrual_id}")
    return _Accrual(*row)


def _current_journal(conn: Connection, journal_id: int) -> int:
    """The journal, or what it was last booked anew as."""
    row = conn.execute(
        "SELECT rebooked_id FROM corrections JOIN accruals USING (accrual_id)"
        " WHERE journal_id = %s ORDER BY correction_id DESC LIMIT 1",
        (journal_id,),
    ).fetchone()
    return row[0] if row else journal_id


def _legs(conn: Connection, accrual: _Accrual, views: int) -> tuple[list[tuple[int, int]], int]:
    """What changes on which account, and the debt in it."""
    gross, fee = views * accrual.rate_micros, views * accrual.fee_per_view
    promoter: Owner = (accrual.promoter_id, accrual.currency)
    campaign: Owner = (accrual.campaign_id, accrual.currency)
    platform: Owner = (PLATFORM, accrual.currency)
    budget = open_accounts(conn, "campaign_budget", [campaign])[campaign]
    fees = open_accounts(conn, "platform_fee", [platform])[platform]
    pending = open_accounts(conn, "promoter_pending", [promoter])[promoter]
    payable = open_accounts(conn, "promoter_payable", [promoter])[promoter]
    owed = open_accounts(conn, "promoter_debt", [promoter])[promoter]
    balances = lock_balances(conn, [budget, fees, pending, payable, owed])
    net = gross - fee
    legs = [(budget, gross), (fees, -fee)]
    if not accrual.settled:
        return [*legs, (pending, -net)], 0
    there = min(net, balances[payable])
    return [*legs, (payable, -there), (owed, there - net)], net - there
