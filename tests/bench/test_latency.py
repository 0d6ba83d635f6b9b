import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.latency import Seen, Sent, latencies

PARTITIONS = 3


@given(
    events=st.lists(
        st.tuples(st.floats(0, 100), st.integers(0, PARTITIONS - 1), st.integers(0, 20)),
        min_size=1,
    ),
    steps=st.lists(st.lists(st.integers(0, 5), min_size=PARTITIONS, max_size=PARTITIONS)),
)
def test_an_event_is_visible_from_the_first_answer_that_covers_it(
    events: list[tuple[float, int, int]], steps: list[list[int]]
) -> None:
    next_raw = np.cumsum([[0] * PARTITIONS, *steps, [21] * PARTITIONS], axis=0)
    at = np.arange(len(next_raw)) * 1.5
    due, partition, offset = (np.array(column) for column in zip(*events, strict=True))
    found = latencies(Sent(due, partition, offset), Seen(at, next_raw))
    for row, (when, number, place) in enumerate(events):
        first = min(t for t, answer in zip(at, next_raw, strict=True) if answer[number] > place)
        assert found[row] == pytest.approx(first - when)


def test_an_event_that_was_never_seen_is_an_error() -> None:
    sent = Sent(np.array([0.0]), np.array([0]), np.array([7]))
    with pytest.raises(IndexError):
        latencies(sent, Seen(np.array([1.0]), np.array([[7]])))
