import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sinks.book_afford import affordable

MANY = 10**18
rates = st.integers(1, 9)


def one_by_one(views: list[tuple[int, int]], left: int, left_by_day: list[int]) -> list[bool]:
    paid, day_left = [], list(left_by_day)
    for rate, day in views:
        paid.append(rate <= left and rate <= day_left[day])
        if paid[-1]:
            left -= rate
            day_left[day] -= rate
    return paid


@given(
    views=st.lists(st.tuples(rates, st.integers(0, 2)), max_size=60),
    left=st.sampled_from([MANY]) | st.integers(0, 200),
    left_by_day=st.lists(st.sampled_from([MANY]) | st.integers(-5, 80), min_size=3, max_size=3),
)
def test_pays_as_if_every_view_were_decided_on_alone(
    views: list[tuple[int, int]], left: int, left_by_day: list[int]
) -> None:
    costs, days = np.array(views, np.int64).reshape(-1, 2).T
    paid = affordable(costs, left, days, np.array(left_by_day))
    assert paid.tolist() == one_by_one(views, left, left_by_day)


@given(views=st.lists(rates, max_size=60), left=st.integers(0, 200))
def test_without_days_only_the_budget_counts(views: list[int], left: int) -> None:
    paid = affordable(np.array(views, np.int64), left)
    assert paid.tolist() == one_by_one([(rate, 0) for rate in views], left, [MANY])


def test_one_rate_pays_the_first_ones_until_the_budget_is_out() -> None:
    assert affordable(np.full(10, 300), 1000).tolist() == [True] * 3 + [False] * 7


def test_what_a_day_does_not_pay_the_next_one_does() -> None:
    days, left_by_day = np.array([0, 0, 1, 0, 1]), np.array([300, 600])
    paid = affordable(np.full(5, 300), 800, days, left_by_day)
    assert paid.tolist() == [True, False, True, False, False]


def test_sums_beyond_float_precision_are_exact() -> None:
    assert affordable(np.array([2**53, 2]), 2**53 + 1).tolist() == [True, False]
