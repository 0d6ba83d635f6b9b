"""The protocol of an evaluation: what is trained on what, and with which memory.

Memory is built in time order. It is cold at the first event of a file unless it was warmed with
earlier ones. What is trained sees both: every training row is there twice, once with the memory
running through, and once with the memory lost a few times, as it is after a restart.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.encodings import Encodings, encoded, fit_encodings, out_of_time
from models.engine.ahead import look_ahead
from models.engine.engine import Engine
from models.engine.table import FEATURES, Feature, of_the_view
from models.ensemble import Ensemble, fit_ensemble, thinned

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Which = Literal["velocity", "all"]
Mode = Literal["online", "settlement"]

_BLOCK_ROWS = 8_192
_RESTARTS = 4
_PAUSE_MS = 3_600_000
"""Files this far apart are not one stream."""


class Labelled(NamedTuple):
    """n events of a file in log order."""

    columns: dict[str, npt.NDArray[Any]]
    """As `models.engine.group.Columns`; with `model` and `os` of the device where known."""
    positive: Bools
    attributes: dict[str, Floats]
    """What is said of the event itself, float64[n] each, besides features of the view."""
    encode: bool
    """Whether campaigns, promoters and devices are to be encoded by how often they are positive."""

    @property
    def n(self) -> int:
        """How many events there are."""
        return len(self.positive)

    def rows(self, which: Any) -> "Labelled":
        """Some of the events: a slice, rows or a mask."""
        return Labelled(
            {name: column[which] for name, column in self.columns.items()},
            self.positive[which],
            {name: column[which] for name, column in self.attributes.items()},
            self.encode,
        )


class Fitted(NamedTuple):
    """A model with all that its features need besides memory."""

    ensemble: Ensemble
    encodings: Encodings | None
    which: Which
    mode: Mode


def joined(parts: Iterable[Labelled]) -> Labelled:
    """Events of several files as one, each after the other; columns that all of them have."""
    parts = list(parts)
    names = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return Labelled(
        {name: np.concatenate([part.columns[name] for part in parts]) for name in names},
        np.concatenate([part.positive for part in parts]),
        {
            name: np.concatenate([part.attributes[name] for part in parts])
            for name in parts[0].attributes
        },
        parts[0].encode,
    )


def fit(files: list[Labelled], which: Which, mode: Mode, seed: int) -> Fitted:
    """Trains on files.

    Args:
        files: at least one; both kinds of events among them.
        which: without or with encodings and what is said of the event itself.
        mode: without or with what came within ten minutes after.
        seed: the same gives the same model.
    """
    streams = _streams(files)
    everything = joined(streams)
    encodings, known = None, None
    if which == "all" and everything.encode:
        encodings = fit_encodings(everything.columns, everything.positive)
        known = out_of_time(everything.columns, everything.positive)
    chosen = thinned(everything.positive, seed)
    halves = []
    for restarts in (1, _RESTARTS):
        found = [_observed(stream, which, restarts) for stream in streams]
        later = [look_ahead(stream.columns) for stream in streams] if mode == "settlement" else []
        parts = [np.concatenate(found)]
        parts += [np.concatenate(later)] if later else []
        parts += [known] if known is not None else []
        halves.append(np.column_stack([part[chosen] for part in parts]))
    positive = everything.positive[chosen]
    ensemble = fit_ensemble(
        np.concatenate(halves),
        np.tile(positive, 2),
        np.tile(everything.columns["viewer"][chosen], 2),
        encodings=len(encodings.fitted) if encodings else 0,
        seed=seed,
    )
    return Fitted(ensemble, encodings, which, mode)


def score(fitted: Fitted, data: Labelled, warm: list[Labelled]) -> Floats:
    """Scores n events, float64[n].

    Args:
        fitted: a model.
        data: the events; nothing of their labels is used.
        warm: earlier events that memory is warmed with; none for a cold start.
    """
    engine = _engine(data, fitted.which)
    for stream in _streams(warm):
        _run(engine, stream.columns)
    parts = [_run(engine, data.columns)]
    if fitted.which == "all":
        parts += [column[:, None] for column in data.attributes.values()]
    if fitted.mode == "settlement":
        parts.append(look_ahead(data.columns))
    if fitted.encodings:
        parts.append(encoded(fitted.encodings, data.columns))
    return fitted.ensemble.score(np.column_stack(parts))


def features_of(which: Which) -> tuple[Feature, ...]:
    """The features of the engine that are asked for."""
    if which == "all":
        return FEATURES
    return tuple(feature for feature in FEATURES if not of_the_view(feature))


def first_of_each(viewer: npt.NDArray[Any], cap: int) -> Bools:
    """Which of n events in log order are among the first `cap` of their viewer, bool[n]."""
    order = np.argsort(viewer, kind="stable")
    ordered = viewer[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(viewer)) - np.repeat(starts, np.diff(starts, append=len(viewer)))
    first = np.empty(len(viewer), np.bool_)
    first[order] = rank < cap
    return first


def _observed(stream: Labelled, which: Which, restarts: int) -> Floats:
    parts = []
    for rows in np.array_split(np.arange(stream.n), restarts):
        part = stream.rows(slice(rows[0], rows[-1] + 1)) if len(rows) else stream.rows(rows)
        parts.append(_run(_engine(stream, which), part.columns))
    found = [np.concatenate(parts)]
    if which == "all":
        found += [column[:, None] for column in stream.attributes.values()]
    return np.column_stack(found)


def _engine(data: Labelled, which: Which) -> Engine:
    return Engine(data.columns, features_of(which))


def _run(engine: Engine, columns: Mapping[str, npt.NDArray[Any]]) -> Floats:
    n = len(columns["time"])
    blocks = [
        engine.observe({name: column[at : at + _BLOCK_ROWS] for name, column in columns.items()})
        for at in range(0, max(n, 1), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)


def _streams(files: list[Labelled]) -> list[Labelled]:
    """Files in time order, joined where one goes on where the last one ended."""
    streams: list[Labelled] = []
    for file in sorted(files, key=lambda file: int(file.columns["seen"][0])):
        pause = int(file.columns["seen"][0] - streams[-1].columns["seen"][-1]) if streams else -1
        if 0 <= pause <= _PAUSE_MS:
            streams[-1] = joined([streams[-1], file])
        else:
            streams.append(file)
    return streams
