"""What a batch of blocks comes to: which views a budget pays, summed up for the ledger.

Only columns, nothing per view: a batch of 50,000 views becomes a row per promoter and campaign.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.verdicts import Verdict
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

    @property
    def amount_micros(self) -> int:
        """What the promoter gets."""
        return self.views * self.rate_micros

    @property
    def capped_micros(self) -> int:
        """What the promoter would have got."""
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


def accrue(wanted: Demand, balances: Sequence[int]) -> list[Accrual]:
    """Pays views in log order, each one that what is left of its budget covers.

    Every view is decided on by itself, so it makes no difference how the log is cut into
    batches.

    Args:
        balances: micros left in the budget of each of `wanted.owners`.
    """
    if not wanted.owners:
        return []
    rates = wanted.views["rate_micros"].to_numpy()
    paid = np.ones(len(rates), dtype=np.int64)
    starts = np.concatenate(([0], wanted.ends[:-1]))
    costs = np.add.reduceat(rates[wanted.order], starts)
    for owner in np.flatnonzero(costs > np.array(balances, dtype=np.int64)).tolist():
        rows = wanted.order[starts[owner] : wanted.ends[owner]]
        paid[rows] = affordable(rates[rows], balances[owner])
    groups = (
        wanted.views.append_column("paid", pa.array(paid))
        .group_by(_KEYS, use_threads=False)
        .aggregate([("paid", "sum"), ("paid", "count")])
    )
    columns = [groups[key].to_pylist() for key in _KEYS]
    views, asked = groups["paid_sum"].to_pylist(), groups["paid_count"].to_pylist()
    capped = [all_views - paid_views for all_views, paid_views in zip(asked, views, strict=True)]
    return [Accrual(*row) for row in zip(*columns, views, capped, strict=True)]


def affordable(rates: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.bool_]:
    """Which views are paid when each is paid if what is left of the budget covers it.

    A pass for each time that the budget does not cover a view: at most one per distinct rate.
    """
    paid = np.zeros(len(rates), dtype=np.bool_)
    open_rows = np.flatnonzero(rates <= budget)
    while len(open_rows):
        spent = np.cumsum(rates[open_rows])
        fitting = int(np.searchsorted(spent, budget, side="right"))
        paid[open_rows[:fitting]] = True
        budget -= int(spent[fitting - 1])  # the first one always fits
        open_rows = open_rows[fitting:]
        open_rows = open_rows[rates[open_rows] <= budget]
    return paid
