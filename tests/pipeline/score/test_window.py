"""The duplicate window against a plain dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.score import window as module
from pipeline.score.window import HOUR_MS, Window, digests

KEEP = 26
START = 400_000  # hours since 1970


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN_ROWS", 5)
    monkeypatch.setattr(module, "_RUN_ROWS", 4)


steps = st.lists(
    st.tuples(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 20)),
    max_size=25,
)


@given(steps, st.integers(0, 25))
@settings(max_examples=200, deadline=None)
def test_it_agrees_with_a_dictionary_also_after_a_snapshot(
    steps: list[tuple[list[int], int]], snapshot_after: int
) -> None:
    window, known, hour = Window(KEEP), {}, START
    for number, (ids, pause) in enumerate(steps):
        hour += pause
        found = digests(f"id-{one}" for one in ids)
        seen = window.seen(found, hour * HOUR_MS)
        assert seen.tolist() == [hour - known.get(one, -1_000) <= KEEP for one in ids]
        fresh = [i for i in range(len(ids)) if not seen[i] and ids[i] not in ids[:i]]
        window.add([found[i] for i in fresh], np.full(len(fresh), hour * HOUR_MS + 17))
        known |= {ids[i]: hour for i in fresh}
        if number == snapshot_after:
            window = Window.from_arrays(KEEP, window.to_arrays())


@pytest.mark.parametrize(("hours_later", "expected"), [(KEEP, True), (KEEP + 1, False)])
def test_the_edge_of_the_window(hours_later: int, expected: bool) -> None:
    window = Window(KEEP)
    window.add(digests(["a"]), np.array([START * HOUR_MS]))
    later = (START + hours_later) * HOUR_MS
    assert window.seen(digests(["a"]), later).tolist() == [expected]


def test_what_is_too_old_is_forgotten() -> None:
    window = Window(KEEP)
    for hour in range(500):
        ids = digests(f"{hour}-{i}" for i in range(40))
        window.add(ids, np.full(40, (START + hour) * HOUR_MS))
    assert len(window) < 40 * 4 * KEEP
    window.to_arrays()
    assert len(window) <= 40 * (KEEP + 2)


def test_sealed_memory_is_at_most_24_bytes_per_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN_ROWS", 1 << 12)
    window = Window(KEEP)
    for block in range(20):
        ids = digests(f"{block}-{i}" for i in range(5_000))
        window.add(ids, np.full(5_000, START * HOUR_MS))
    window.seal()
    assert len(window) == 100_000
    assert window.sealed_bytes <= 24 * len(window)


def test_digests_that_share_their_first_half_are_told_apart() -> None:
    window = Window(KEEP)
    entries = [b"\x01" * 8 + bytes([i]) * 8 for i in range(6)]
    window.add(entries[:5], np.full(5, START * HOUR_MS))
    window.seal()
    assert window.seen(entries, START * HOUR_MS).tolist() == [True] * 5 + [False]
