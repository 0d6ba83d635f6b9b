from collections import Counter
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledger import HOUR_MS, View, table

from schemas.verdicts import Verdict
from sinks.book_accrue import Budget, accrue, demand

DAY_MS = 24 * HOUR_MS
rates = st.integers(1, 9)
budgets = st.builds(
    Budget,
    left_micros=st.integers(0, 60),
    fee_bp=st.sampled_from([0, 1, 2_500, 3_333, 10_000]),
    left_by_day=st.none()
    | st.lists(st.integers(-3, 30), min_size=3, max_size=3).map(
        lambda left: {date(1970, 1, 1 + day): micros for day, micros in enumerate(left)}
    ),
)
views = st.lists(
    st.builds(
        View,
        campaign_id=st.sampled_from(["c1", "c2"]),
        promoter_id=st.sampled_from(["p1", "p2"]),
        currency=st.sampled_from(["EUR", "EUR", "EUR", "JPY"]),
        rate_micros=rates,
        log_time=st.integers(0, 3 * DAY_MS - 1),
        verdict=st.sampled_from([int(Verdict.VALID)] * 6 + [int(verdict) for verdict in Verdict]),
    ),
    min_size=5,
    max_size=40,
)


def one_by_one(views: list[View], left: int, left_by_day: dict[int, int] | None) -> list[bool]:
    paid, day_left = [], dict(left_by_day or {})
    for view in views:
        day = view.log_time // DAY_MS
        covered = view.rate_micros <= min(left, day_left.get(day, left))
        paid.append(covered)
        if covered:
            left -= view.rate_micros
            if day in day_left:
                day_left[day] -= view.rate_micros
    return paid


def test_sums_beyond_float_precision_are_exact() -> None:
    budget = 2**53 + 1
    wanted = demand([table([View("c", rate_micros=2**53), View("c", rate_micros=2)])])
    assert sum(row.views for row in accrue(wanted, [Budget(budget)])) == 1


@settings(deadline=None)
@given(views, st.lists(budgets, min_size=4, max_size=4))
def test_every_valid_view_is_paid_or_capped_within_its_budget_and_its_day(
    batch: list[View], budgets: list[Budget]
) -> None:
    wanted = demand([table(batch[:7]), table(batch[7:])])
    rows = accrue(wanted, budgets[: len(wanted.owners)])
    valid = [view for view in batch if view.verdict == Verdict.VALID]
    expected: Counter[tuple[object, ...]] = Counter()
    fees: Counter[tuple[str, str]] = Counter()
    for owner, budget in zip(wanted.owners, budgets, strict=False):
        mine = [view for view in valid if (view.campaign_id, view.currency) == owner]
        days = budget.left_by_day and {day.day - 1: m for day, m in budget.left_by_day.items()}
        for view, paid in zip(mine, one_by_one(mine, budget.left_micros, days), strict=True):
            key = (*view[:4], view.log_time // HOUR_MS)
            expected[*key, paid] += 1
            if paid:
                fees[owner] += view.rate_micros * budget.fee_bp // 10_000
    found = Counter()
    for row in rows:
        key = (*row[:4], int(row.log_hour.timestamp() * 1000) // HOUR_MS)
        found += Counter({(*key, True): row.views, (*key, False): row.capped_views})
        fees[row.campaign_id, row.currency] -= row.fee_micros
        assert 0 <= row.fee_micros <= row.amount_micros
    assert found == expected
    assert not any(fees.values())


def test_hours_are_those_of_the_log_in_utc() -> None:
    (row,) = accrue(demand([table([View("c", log_time=1_760_003_999_999)])]), [Budget(10**9)])
    assert row.log_hour == datetime(2025, 10, 9, 9, tzinfo=UTC)


def test_nothing_valid_comes_to_nothing() -> None:
    for batch in ([], [table([])], [table([View("c", verdict=int(Verdict.HELD))])]):
        assert accrue(demand(batch), []) == []
