"""Capacity: what is held is given back, and more than the most is never held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.capacity import Capacity
from pipeline.collector.problems import ProblemError


@given(st.lists(st.integers(0, 60), max_size=20))
def test_never_more_than_the_most_and_nothing_is_left(sizes: list[int]) -> None:
    capacity = Capacity(100)

    def nest(rest: list[int]) -> None:
        if not rest:
            return
        held = capacity.held
        try:
            with capacity.hold(rest[0]):
                assert capacity.held == held + rest[0] <= capacity.most
                nest(rest[1:])
        except ProblemError as problem:
            assert problem.status == 503
            assert problem.headers == {"Retry-After": "1"}
            assert held + rest[0] > capacity.most
        assert capacity.held == held

    nest(sizes)
    assert capacity.held == 0


def test_a_failed_request_gives_its_room_back() -> None:
    capacity = Capacity(10)
    with pytest.raises(ZeroDivisionError), capacity.hold(10):
        assert capacity.full
        raise ZeroDivisionError
    assert not capacity.full
