"""Books views that turn out to be valid: an accrual like any other, within the budget."""

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa

from schemas.block import ACCEPTED
from sinks.book_accrue import COLUMNS, accrue, demand
from sinks.book_budget import lock_budgets, record_days
from sinks.book_post import Place, post_accruals
from sinks.correct_types import Change, Effect
from sinks.postgres import Connection

PARTITION = -1
"""Of accruals that are made by corrections: they are no stretch of `views.scored`."""

_HOUR_MS = 3_600_000
_Key = tuple[str, str, str, int, int]


def book_gains(conn: Connection, gains: Sequence[Change]) -> dict[Change, Effect]:
    """Accrues views from their campaigns' budgets, within the caller's transaction.

    Their hold begins now.

    Args:
        gains: in the order of the log; what is left of a budget pays them in this order.
    """
    if not gains:
        return {}
    row = conn.execute("SELECT nextval('view_correction_bookings')").fetchone()
    assert row is not None
    place = Place(PARTITION, row[0], row[0] + 1)
    wanted = demand([_table(gains)])
    accounts, budgets = lock_budgets(conn, wanted)
    accruals = accrue(wanted, budgets)
    post_accruals(conn, place, accounts, accruals)
    record_days(conn, accruals)
    rows = conn.execute(
        "SELECT campaign_id, promoter_id, currency, rate_micros,"
        " extract(epoch FROM log_hour)::bigint * 1000, accrual_id, views FROM accruals"
        " WHERE partition = %s AND scored_from = %s",
        place[:2],
    )
    # Of one price and hour the first ones are paid, until the money does not cover one.
    booked = {tuple(key): (accrual_id, views) for *key, accrual_id, views in rows}
    seen: dict[_Key, int] = defaultdict(int)
    effects = {}
    for one in gains:
        key = (*one[5:9], one.log_time // _HOUR_MS * _HOUR_MS)
        accrual_id, views = booked[key]
        paid = seen[key] < views
        seen[key] += 1
        effects[one] = Effect(
            one.rate_micros if paid else 0, 0 if paid else one.rate_micros, accrual_id, None
        )
    return effects


def _table(gains: Sequence[Change]) -> pa.Table:
    """As the accepted part of a block."""
    rows = [
        {
            "campaign_id": one.campaign_id,
            "promoter_id": one.promoter_id,
            "currency": one.currency,
            "rate_micros": one.rate_micros,
            "log_time": one.log_time,
            "verdict": int(one.became),
        }
        for one in gains
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([ACCEPTED.field(c) for c in COLUMNS]))
