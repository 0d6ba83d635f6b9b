"""A snapshot gives back what was remembered; one that cannot be read is as good as none."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import NOW

from pipeline.score import state as module
from pipeline.score.policy import days_of, pair_digests
from pipeline.score.state import (
    REPEAT_HOURS,
    RESTORED_COLUMNS,
    State,
    empty_state,
    load_snapshot,
    observe,
    save_snapshot,
    to_arrays,
)
from pipeline.score.window import digests
from schemas.block import ACCEPTED
from schemas.fencing import Position, Progress
from schemas.verdicts import Verdict

HOUR = 3_600_000
WINDOW = 27
PROGRESS = Progress(Position(7, "a-writer", 1234), 99)
SCHEMA = pa.schema([ACCEPTED.field(name) for name in RESTORED_COLUMNS])

Row = tuple[int, int, int]
"""Event, viewer, hours since the row before."""
rows = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 5), st.sampled_from([0, 0, 1, 30])),
    max_size=12,
    unique_by=lambda row: row[0],
)


def table(rows: list[Row], start: int = NOW) -> pa.Table:
    """Accepted views as the log has them."""
    times = start + np.cumsum([hours * HOUR for _, _, hours in rows], dtype=np.int64)
    made = [
        {
            "event_id": f"event-{event}",
            "viewer_id": f"viewer-{viewer}",
            "post_id": "post",
            "log_time": at,
            "viewed_at": at,
            "watch_ms": 1_000 + event % 7,
            "verdict": Verdict.VALID if event % 2 else Verdict.INVALID,
        }
        for (event, viewer, _), at in zip(rows, times.tolist(), strict=True)
    ]
    return pa.Table.from_pylist(made, schema=SCHEMA)


def answers(state: State, asked: pa.Table) -> list[Any]:
    """All that a state can be asked."""
    if not len(asked):
        return []
    now = int(asked["log_time"].to_numpy().max())
    pairs = pair_digests(
        asked["viewer_id"].to_pylist(),
        asked["post_id"].to_pylist(),
        days_of(asked["viewed_at"].to_numpy()),
    )
    viewers = state.features.to_arrays()
    return [
        state.events.seen(digests(asked["event_id"].to_pylist()), now).tolist(),
        state.repeats.seen(pairs, now).tolist(),
        dict(zip(viewers["viewer/keys"], map(bytes, viewers["viewer/states"]), strict=True)),
    ]


@given(logged=rows, cut=st.integers(0, 12), asked=rows)
@settings(max_examples=60, deadline=None)
def test_a_snapshot_and_the_tail_are_as_good_as_the_whole_log(
    tmp_path_factory: pytest.TempPathFactory, logged: list[Row], cut: int, asked: list[Row]
) -> None:
    log = table(logged)
    whole, until = empty_state(WINDOW), empty_state(WINDOW)
    observe(whole, log)
    observe(until, log.slice(0, cut))
    path = tmp_path_factory.getbasetemp() / "snapshots" / "0.npz"
    save_snapshot(path, to_arrays(until, PROGRESS))
    restored, progress = load_snapshot(path, WINDOW)
    assert progress == PROGRESS
    observe(restored, log.slice(cut))
    later = table(asked + logged, start=int(log["log_time"][-1].as_py()) if logged else NOW)
    assert answers(restored, later) == answers(whole, later)
    assert [file.name for file in path.parent.iterdir()] == ["0.npz"]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "0.npz"
    state = empty_state(WINDOW)
    observe(state, table([(1, 1, 0), (2, 2, 1)]))
    save_snapshot(path, to_arrays(state, PROGRESS))
    return path


def is_ignored(path: Path) -> bool:
    state, progress = load_snapshot(path, WINDOW)
    return progress == Progress() and len(state.events) == 0


def test_none_is_the_start_of_the_log(tmp_path: Path) -> None:
    assert is_ignored(tmp_path / "0.npz")


def test_a_whole_one_is_used(snapshot: Path) -> None:
    state, progress = load_snapshot(snapshot, WINDOW)
    assert (progress, len(state.events), len(state.repeats)) == (PROGRESS, 2, 1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_one_that_was_cut_short_is_ignored(share: float, snapshot: Path) -> None:
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[: int(len(content) * share)])
    assert is_ignored(snapshot)


def test_one_that_rotted_is_ignored(snapshot: Path) -> None:
    content = bytearray(snapshot.read_bytes())
    at = content.find(b"a-writer")
    content[at] ^= 0xFF
    snapshot.write_bytes(content)
    assert is_ignored(snapshot)


def test_one_of_another_format_is_ignored(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FORMAT", module._FORMAT + 1)
    assert is_ignored(snapshot)


@pytest.mark.parametrize(
    "name", ["numbers", "writer", "events.high", "repeats.now", "features.viewer/keys"]
)
def test_one_that_lacks_something_is_ignored(name: str, snapshot: Path) -> None:
    with np.load(snapshot) as file:
        arrays = {key: file[key] for key in file.files if key != name}
    save_snapshot(snapshot, arrays)
    assert is_ignored(snapshot)


def test_one_of_other_features_forgets_viewers_and_nothing_that_was_paid(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "features_digest", lambda: "another")
    state, progress = load_snapshot(snapshot, WINDOW)
    assert (progress, len(state.events), len(state.repeats)) == (PROGRESS, 2, 1)
    assert state.features.sizes()["viewer"][0] == 0


@pytest.mark.parametrize("hours", [WINDOW - 1, WINDOW])
def test_one_of_a_longer_window_is_used(hours: int, snapshot: Path) -> None:
    state, progress = load_snapshot(snapshot, hours)
    assert (progress, len(state.events), state.events.hours) == (PROGRESS, 2, hours)


def test_one_of_a_shorter_window_is_ignored(snapshot: Path) -> None:
    assert load_snapshot(snapshot, WINDOW + 1)[1] == Progress()


def test_nothing_is_unpickled(snapshot: Path) -> None:
    with np.load(snapshot) as file:
        arrays = {key: file[key] for key in file.files}
    np.savez(snapshot, **arrays | {"writer": np.array([print], dtype=object)})
    assert is_ignored(snapshot)


def test_a_crash_while_saving_leaves_the_old_one(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        save_snapshot(snapshot, to_arrays(empty_state(WINDOW), Progress()))
    assert not is_ignored(snapshot)


def test_a_repeat_is_remembered_for_as_long_as_its_day_may_still_be_viewed() -> None:
    state = empty_state(WINDOW)
    observe(state, table([(1, 1, 0)]))
    pairs = pair_digests(["viewer-1"], ["post"], days_of(np.array([NOW])))
    last = NOW + (WINDOW + REPEAT_HOURS) * HOUR
    assert state.repeats.seen(pairs, last).tolist() == [True]
    assert state.repeats.seen(pairs, last + HOUR).tolist() == [False]
