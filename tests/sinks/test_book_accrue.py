from collections import Counter
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import HOUR_MS, View, table

from schemas.verdicts import Verdict
from sinks.book_accrue import accrue, affordable, demand

rates = st.integers(1, 9)
views = st.lists(
    st.builds(
        View,
        campaign_id=st.sampled_from(["c1", "c2"]),
        promoter_id=st.sampled_from(["p1", "p2"]),
        currency=st.sampled_from(["EUR", "EUR", "EUR", "JPY"]),
        rate_micros=rates,
        log_time=st.integers(0, 3 * HOUR_MS),
        verdict=st.sampled_from([int(Verdict.VALID)] * 6 + [int(verdict) for verdict in Verdict]),
    ),
    min_size=5,
    max_size=40,
)


def one_by_one(rate_list: list[int], budget: int) -> list[bool]:
    paid = []
    for rate in rate_list:
        paid.append(rate <= budget)
        budget -= rate if paid[-1] else 0
    return paid


@given(st.lists(rates, max_size=60), st.integers(0, 200))
def test_pays_as_if_every_view_were_decided_on_alone(rate_list: list[int], budget: int) -> None:
    paid = affordable(np.array(rate_list, dtype=np.int64), budget)
    assert paid.tolist() == one_by_one(rate_list, budget)


def test_one_rate_pays_the_first_ones_until_the_budget_is_out() -> None:
    assert affordable(np.full(10, 300), 1000).tolist() == [True] * 3 + [False] * 7


def test_sums_beyond_float_precision_are_exact() -> None:
    budget = 2**53 + 1
    assert affordable(np.array([2**53, 2]), budget).tolist() == [True, False]
    wanted = demand([table([View("c", rate_micros=2**53), View("c", rate_micros=2)])])
    assert sum(row.views for row in accrue(wanted, [budget])) == 1


@given(views, st.lists(st.integers(0, 30), min_size=4, max_size=4))
def test_every_valid_view_is_paid_or_capped_within_its_budget(
    batch: list[View], budgets: list[int]
) -> None:
    wanted = demand([table(batch[:7]), table(batch[7:])])
    rows = accrue(wanted, budgets[: len(wanted.owners)])
    valid = Counter(
        (
            view.campaign_id,
            view.promoter_id,
            view.currency,
            view.rate_micros,
            view.log_time // HOUR_MS,
        )
        for view in batch
        if view.verdict == Verdict.VALID
    )
    found = {
        (*row[:4], int(row.log_hour.timestamp() * 1000) // HOUR_MS): row.views + row.capped_views
        for row in rows
    }
    assert found == valid
    for owner, budget in zip(wanted.owners, budgets, strict=False):
        mine = [row for row in rows if (row.campaign_id, row.currency) == owner]
        in_order = [
            view.rate_micros
            for view in batch
            if (view.campaign_id, view.currency) == owner and view.verdict == Verdict.VALID
        ]
        paid = one_by_one(in_order, budget)
        assert sum(row.views for row in mine) == sum(paid)
        assert sum(row.amount_micros for row in mine) == np.dot(in_order, paid) <= budget


def test_hours_are_those_of_the_log_in_utc() -> None:
    (row,) = accrue(demand([table([View("c", log_time=1_760_003_999_999)])]), [10**9])
    assert row.log_hour == datetime(2025, 10, 9, 9, tzinfo=UTC)


def test_nothing_valid_comes_to_nothing() -> None:
    for batch in ([], [table([])], [table([View("c", verdict=int(Verdict.HELD))])]):
        assert accrue(demand(batch), []) == []
