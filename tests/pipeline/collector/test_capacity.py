"""Capacity: what is held is given back, and more than the most is never held."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.capacity import REQUEST_BYTES, Capacity
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


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=20))
def test_no_key_has_more_than_its_share(sizes: list[tuple[str, int]]) -> None:
    capacity = Capacity(100)
    held = dict.fromkeys("abc", 0)
    with ExitStack() as stack:
        for key, size in sizes:
            fits = sum(held.values()) + size <= 100 and held[key] + size <= 25
            try:
                stack.enter_context(capacity.hold(size, key))
            except ProblemError as problem:
                assert problem.status == 503
                assert not fits
            else:
                assert fits
                held[key] += size
    assert capacity.held == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_what_is_to_come_is_held_when_it_came(requests: list[tuple[int, int]]) -> None:
    capacity, held = Capacity(100), 0
    with ExitStack() as stack:
        for size, to_come in requests:
            fits = held + size + to_come <= 100
            try:
                grow = stack.enter_context(capacity.hold(size, "key", to_come))
            except ProblemError:
                assert not fits or held + size > 25
                continue
            held += size
            assert fits
            assert capacity.held == held
            try:
                grow(to_come)
            except ProblemError:
                assert held + to_come > 25
            else:
                held += to_come
            assert capacity.held == held <= 25
    assert capacity.held == 0


def test_a_failed_request_gives_its_room_back() -> None:
    capacity = Capacity(REQUEST_BYTES)
    with pytest.raises(ZeroDivisionError), capacity.hold(10):
        assert capacity.full
        raise ZeroDivisionError
    assert not capacity.full
