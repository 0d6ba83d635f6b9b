"""What a scorer remembers of one partition, all of it a function of `views.scored`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import structlog

from models.engine.engine import Engine
from models.engine.view import columns_of_accepted
from models.features import features_digest, new_engine
from pipeline.score.policy import days_of, pair_digests
from pipeline.score.window import Window, digests
from schemas.fencing import Position, Progress
from schemas.verdicts import Verdict

log = structlog.get_logger()

_FORMAT = 2
REPEAT_HOURS = 49
"""A day, and how late a view of it may still come."""


class State(NamedTuple):
    """Duplicate window, paid (viewer, post, day) triples and what is known of viewers."""

    events: Window
    repeats: Window
    features: Engine


def empty_state(window_hours: int) -> State:
    """The state before the first block."""
    return State(Window(window_hours), Window(window_hours + REPEAT_HOURS), new_engine())


RESTORED_COLUMNS = [
    "event_id", "viewer_id", "post_id", "log_time", "viewed_at", "watch_ms", "verdict",
]  # fmt: skip


def observe(state: State, accepted: pa.Table) -> None:
    """Takes the accepted views of taken blocks into the state."""
    log_time = accepted["log_time"].to_numpy()
    state.events.add(digests(accepted["event_id"].to_pylist()), log_time)
    state.features.remember(columns_of_accepted(accepted))
    valid = accepted.filter(np.asarray(accepted["verdict"].to_numpy() == Verdict.VALID))
    pairs = pair_digests(
        valid["viewer_id"].to_pylist(),
        valid["post_id"].to_pylist(),
        days_of(valid["viewed_at"].to_numpy()),
    )
    state.repeats.add(pairs, valid["log_time"].to_numpy())


def save_snapshot(path: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    """Writes a snapshot so that a crash leaves the old one or the new one, never a half."""
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def to_arrays(state: State, progress: Progress) -> dict[str, npt.NDArray[np.generic]]:
    """The state and where in the log it stands, as plain arrays."""
    position = progress.position
    hours = state.events.hours
    numbers = [_FORMAT, hours, position.epoch, position.next_raw, progress.next_scored]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "numbers": np.array(numbers, np.int64),
        "writer": np.frombuffer(position.writer.encode(), np.uint8),
        "digest": np.frombuffer(features_digest().encode(), np.uint8),
    }
    for name in State._fields:
        part: Window | Engine = getattr(state, name)
        arrays |= {f"{name}.{key}": array for key, array in part.to_arrays().items()}
    return arrays


def load_snapshot(path: Path, window_hours: int) -> tuple[State, Progress]:
    """The state of a snapshot, or the empty state when there is none that can be read."""
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        version, *numbers = arrays["numbers"].tolist()
        if version != _FORMAT:
            raise ValueError(f"format {version}, this version reads {_FORMAT}")
        hours, epoch, next_raw, next_scored = numbers
        if hours < window_hours:
            # It has forgotten what a longer accept window has to know.
            raise ValueError(f"remembers {hours} hours, {window_hours} are needed")
        parts = {
            name: {
                key.partition(".")[2]: array
                for key, array in arrays.items()
                if key.startswith(f"{name}.")
            }
            for name in State._fields
        }
        state = State(
            Window.from_arrays(window_hours, parts["events"]),
            Window.from_arrays(window_hours + REPEAT_HOURS, parts["repeats"]),
            _features(arrays.get("digest", np.empty(0, np.uint8)).tobytes(), parts["features"]),
        )
        position = Position(epoch, arrays["writer"].tobytes().decode(), next_raw)
        return state, Progress(position, next_scored)
    except FileNotFoundError:
        return empty_state(window_hours), Progress()
    except Exception as error:
        # The log has it all: a damaged snapshot only costs time.
        log.warning("snapshot not used", path=path.name, why=repr(error))
        return empty_state(window_hours), Progress()


def _features(digest: bytes, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Engine:
    """What was known of viewers; nothing after the features have changed: other than what was paid,
    it comes back by itself within a day, and the log it was made of may be gone."""
    engine = new_engine()
    if digest == features_digest().encode():
        engine.load(arrays)
    else:
        log.warning("viewers are forgotten: the snapshot is of other features")
    return engine
