"""What a batch of blocks comes to: which views a budget pays, summed up for the ledger.

Only columns, nothing per view: a batch of 50,000 views becomes a row per promoter and campaign.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.verdicts import Verdict
from sinks.book_afford import affordable
from sinks.ledger import Owner

COLUMNS = ["campaign_id", "promoter_id", "currency", "rate_micros", "log_time", "verdict"]
"""What must be decoded of a block."""

_HOUR_MS = 3_600_000
_KEYS = ["campaign_id", "promoter_id", "currency", "rate_micros", "log_hour"]


class Demand(NamedTuple):
    """The valid views of a batch, in log order, and whose budgets they ask for."""

    views: pa.Table
    """`campaign_id`, `promoter_id`, `currency`, `rate_micros`, `log_hour` (timestamp, ms UTC)."""
    owners: list[Owner]
    """Campaign and currency: one budget each."""
    order: npt.NDArray[np.int64]
    """Row numbers of `views` by owner, in log order within an owner."""
    ends: npt.NDArray[np.int64]
    """Where each owner ends in `order`."""


class Budget(NamedTuple):
    """What a campaign may still spend, and what the platform keeps of it."""

    left_micros: int
    fee_bp: int = 0
    """Basis points of the rate."""
    left_by_day: Mapping[date, int] | None = None
    """Of the daily budget in micros, for every UTC day of the batch; None without one."""


class Accrual(NamedTuple):
    """Valid views of one promoter in one campaign, at one rate and in one hour of the log."""

    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    log_hour: Any  # datetime, UTC
    views: int
    """Paid."""
    capped_views: int
    """Not covered by the budget."""
    fee_bp: int

    @property
    def amount_micros(self) -> int:
        """What the campaign pays."""
        return self.views * self.rate_micros

    @property
    def fee_micros(self) -> int:
        """What the platform keeps of it: rounded down by view, however the log is cut."""
        return self.views * (self.rate_micros * self.fee_bp // 10_000)

    @property
    def capped_micros(self) -> int:
        """What the campaign would have paid."""
        return self.capped_views * self.rate_micros


def demand(accepted: Sequence[pa.Table]) -> Demand:
    """What the valid views among the accepted ones ask for.

    Args:
        accepted: tables with at least `COLUMNS` of `schemas.block.ACCEPTED`, in log order.
    """
    if not accepted:
        return Demand(pa.table({}), [], np.empty(0, np.int64), np.empty(0, np.int64))
    views = pa.concat_tables([table.select(COLUMNS) for table in accepted])
    views = views.filter(pc.equal(views["verdict"], int(Verdict.VALID))).combine_chunks()
    hours = pc.multiply(pc.divide(views["log_time"], _HOUR_MS), _HOUR_MS)
    views = views.append_column("log_hour", hours.cast(pa.timestamp("ms", "UTC")))

    campaigns = pc.dictionary_encode(views["campaign_id"]).combine_chunks()
    currencies = pc.dictionary_encode(views["currency"]).combine_chunks()
    width = max(len(currencies.dictionary), 1)
    codes = campaigns.indices.to_numpy().astype(np.int64) * width + currencies.indices.to_numpy()
    found, counts = np.unique(codes, return_counts=True)
    owners = [
        (
            campaigns.dictionary[int(code) // width].as_py(),
            currencies.dictionary[code % width].as_py(),
        )
        for code in found.tolist()
    ]
    return Demand(views.select(_KEYS), owners, np.argsort(codes, kind="stable"), np.cumsum(counts))


def days_of(wanted: Demand) -> npt.NDArray[np.datetime64]:
    """The UTC day of the log time of each view."""
    hours: npt.NDArray[np.datetime64] = wanted.views["log_hour"].to_numpy()
    return hours.astype("datetime64[D]")


def accrue(wanted: Demand, budgets: Sequence[Budget]) -> list[Accrual]:
    """Pays views in log order, each one that what is left of its budget and of its day covers.

    Every view is decided on by itself, so it makes no difference how the log is cut into
    batches.

    Args:
        budgets: of `wanted.owners`.
    """
    if not wanted.owners:
        return []
    rates = wanted.views["rate_micros"].to_numpy()
    paid = np.ones(len(rates), dtype=np.int64)
    starts = np.concatenate(([0], wanted.ends[:-1]))
    costs = np.add.reduceat(rates[wanted.order], starts)
    limited = costs > np.array([budget.left_micros for budget in budgets], dtype=np.int64)
    daily = [budget.left_by_day is not None for budget in budgets]
    limited |= daily
    days = days_of(wanted) if any(daily) else None
    for owner in np.flatnonzero(limited).tolist():
        rows = wanted.order[starts[owner] : wanted.ends[owner]]
        left, by_day = budgets[owner].left_micros, budgets[owner].left_by_day
        if days is None or by_day is None:
            paid[rows] = affordable(rates[rows], left)
        else:
            found, number = np.unique(days[rows], return_inverse=True)
            left_by_day = np.array([by_day[day] for day in found.tolist()], np.int64)
            paid[rows] = affordable(rates[rows], left, number, left_by_day)
    groups = (
        wanted.views.append_column("paid", pa.array(paid))
        .group_by(_KEYS, use_threads=False)
        .aggregate([("paid", "sum"), ("paid", "count")])
        .sort_by([(key, "ascending") for key in _KEYS])  # as the indexes are, which is quicker
    )
    columns = [groups[key].to_pylist() for key in _KEYS]
    views, asked = groups["paid_sum"].to_pylist(), groups["paid_count"].to_pylist()
    capped = [all_views - paid_views for all_views, paid_views in zip(asked, views, strict=True)]
    fee = dict(zip(wanted.owners, (budget.fee_bp for budget in budgets), strict=True))
    fees = [fee[owner] for owner in zip(columns[0], columns[2], strict=True)]
    return [Accrual(*row) for row in zip(*columns, views, capped, fees, strict=True)]
