"""What is remembered of each viewer: local, because a viewer's events are in one partition.

A function of the log alone: folding in the accepted views gives the same answers whatever the
sizes of the blocks they come in. A viewer is forgotten after 24 h of log time without a view.
72 bytes per viewer, plus room to grow.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.hashing import Keys
from models.index import KeyIndex

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KEEP_MS = 24 * 3_600_000
WINDOWS_MS = (600_000, 24 * 3_600_000)
"""Of the counts of `Before.events`."""
NO_GAP = -(2**31)

_ROW = np.dtype(
    [
        ("seen", "i8"),  # watermark of log time at the last view
        ("viewed", "i8"),  # viewed_at of the last view
        ("gap", "i4"),  # between the last two views, NO_GAP if there was one only
        ("watch", "i4"),
        ("bucket", "i4", len(WINDOWS_MS)),  # newest bucket of each window …
        ("count", "i4", len(WINDOWS_MS)),  # … its views …
        ("earlier", "i4", len(WINDOWS_MS)),  # … and those of the bucket before it
    ]
)


class Views(Protocol):
    """`models.batch.Batch` or `Accepted`."""

    @property
    def viewer(self) -> Keys: ...
    @property
    def log_time(self) -> Ints: ...
    @property
    def viewed_at(self) -> Ints: ...
    @property
    def watch_ms(self) -> Ints: ...


class Before(NamedTuple):
    """What was known of the viewer before each of n views; NaN where nothing was."""

    is_new: Bools
    gap_ms: Floats
    """Since the last view; negative where views came out of order."""
    last_gap_ms: Floats
    last_watch_ms: Floats
    events: tuple[Floats, ...]
    """Views within each of `WINDOWS_MS`, estimated from two aligned buckets."""


class Viewers:
    """The memory of one partition's viewers."""

    def __init__(self) -> None:
        self._index = KeyIndex()
        self._rows = np.zeros(1024, _ROW)
        self._watermark = 0

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._index.nbytes + self._rows.nbytes

    def observe(self, views: Views) -> Before:
        """Takes n views, in log order, and says what was known before each of them."""
        if not len(views.viewer):
            return Before(np.empty(0, np.bool_), *(np.empty(0),) * 3, (np.empty(0),) * 2)
        order = np.argsort(views.viewer, kind="stable")
        viewer = views.viewer[order]
        first = np.append(True, viewer[1:] != viewer[:-1])
        starts, stops = np.flatnonzero(first), np.flatnonzero(np.append(first[1:], True))
        known, rows = self._rows_of(viewer[starts], order[starts])
        old = self._rows.take(rows)
        # A broker's clock may step back; a running maximum keeps forgetting deterministic.
        seen = np.maximum(np.maximum.accumulate(views.log_time), self._watermark)
        self._watermark = int(seen[-1])
        seen, viewed, watch = seen[order], views.viewed_at[order], views.watch_ms[order]

        fresh = seen - _shifted(seen, starts, old["seen"]) > KEEP_MS
        fresh[starts] |= ~known
        gap = viewed - _shifted(viewed, starts, old["viewed"])
        gap = np.where(fresh, NO_GAP, np.clip(gap, NO_GAP + 1, -NO_GAP - 1))
        last_gap = np.where(fresh, NO_GAP, _shifted(gap, starts, old["gap"]))
        last_watch = _shifted(watch, starts, old["watch"])

        new = np.empty(len(starts), _ROW)
        new["seen"], new["viewed"] = seen[stops], viewed[stops]
        new["gap"], new["watch"] = gap[stops], watch[stops]
        events = []
        for w, window_ms in enumerate(WINDOWS_MS):
            carried = (old["bucket"][:, w], old["count"][:, w], old["earlier"][:, w])
            counted = _count(viewed, window_ms, starts, fresh, carried)
            for name, column in zip(("bucket", "count", "earlier"), counted[1:], strict=True):
                new[name][:, w] = column[stops]
            events.append(_back(order, counted[0]))
        # As plain words: numpy copies records field by field.
        _words(self._rows)[rows] = _words(new)
        return Before(
            is_new=_back(order, fresh),
            gap_ms=_back(order, np.where(fresh, np.nan, gap)),
            last_gap_ms=_back(order, np.where(last_gap == NO_GAP, np.nan, last_gap)),
            last_watch_ms=_back(order, np.where(fresh, np.nan, last_watch)),
            events=tuple(events),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The memory as plain arrays, without what is forgotten; `from_arrays` reads them."""
        self._forget()
        rows = self._rows[: len(self)]
        columns = {name: np.ascontiguousarray(rows[name]) for name in _ROW.names or ()}
        watermark = np.array([self._watermark], np.int64)
        return {"viewer": self._index.keys.copy(), "watermark": watermark, **columns}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Viewers":
        """The memory that `to_arrays` gave."""
        viewers = cls()
        viewers._watermark = int(arrays["watermark"][0])
        viewers._index = KeyIndex(arrays["viewer"])
        viewers._rows = np.zeros(max(1024, len(viewers)), _ROW)
        for name in _ROW.names or ():
            viewers._rows[name][: len(viewers)] = arrays[name]
        return viewers

    def _rows_of(self, viewer: Keys, at: Ints) -> tuple[Bools, Ints]:
        """Rows of viewers that differ, made where there are none; and whether there were."""
        rows = self._index.find(viewer)
        known = rows >= 0
        if not known.all():
            missing = np.flatnonzero(~known)
            if len(self) + len(missing) > len(self._rows):
                self._forget()
                rows = self._index.find(viewer)
                known = rows >= 0
                missing = np.flatnonzero(~known)
                self._grow(len(self) + len(missing))
            missing = missing[np.argsort(at[missing])]
            rows[missing] = self._index.add(viewer[missing])
        return known, rows

    def _forget(self) -> None:
        keep = self._watermark - self._rows["seen"][: len(self)] <= KEEP_MS
        if not keep.all():
            rows = self._rows[: len(self)][keep]
            self._index = KeyIndex(self._index.keys[keep])
            self._rows[: len(rows)] = rows

    def _grow(self, n: int) -> None:
        # Half of the room free after forgetting, or forgetting would come with every block.
        if 2 * n > len(self._rows):
            bigger = np.zeros(2 * max(n, len(self._rows)), _ROW)
            bigger[: len(self)] = self._rows[: len(self)]
            self._rows = bigger


def _words(rows: npt.NDArray[np.void]) -> Ints:
    return rows.view(np.int64).reshape(len(rows), -1)


def _shifted(column: Ints, starts: Ints, carried: npt.NDArray[Any]) -> Ints:
    """The value of the row before; of the first row of a viewer the carried one."""
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[starts] = carried
    return before


def _back(order: Ints, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """From rows by viewer back to log order."""
    back = np.empty_like(column)
    back[order] = column
    return back


def _count(
    viewed: Ints, window_ms: int, starts: Ints, fresh: Bools, carried: tuple[Ints, Ints, Ints]
) -> tuple[Floats, Ints, Ints, Ints]:
    """Counts per aligned bucket along each viewer's rows.

    Late views count in the newest bucket, so buckets never go back along a viewer's rows and
    each is one *run* of rows.

    Returns:
        For each row: views in the window before it (estimated), and after it: newest bucket,
        its count, the count of the bucket before it.
    """
    n = len(viewed)
    bucket = viewed // window_ms
    alive = ~fresh[starts]
    bucket[starts] = np.where(alive, np.maximum(bucket[starts], carried[0]), bucket[starts])
    lives = fresh.copy()
    lives[starts] = True
    offset = np.cumsum(lives) << 32  # a life's buckets are above all of the life before it
    bucket = np.maximum.accumulate(bucket + offset) - offset
    run_first = lives | np.append(True, bucket[1:] != bucket[:-1])
    runs = np.flatnonzero(run_first)
    run = np.cumsum(run_first) - 1
    length = np.diff(runs, append=n)

    # What a run starts with: of a viewer's first run it is what was carried, …
    base, earlier = np.zeros(len(runs), np.int64), np.zeros(len(runs), np.int64)
    first_runs, last_bucket = run[starts], carried[0]
    same, next_one = bucket[starts] == last_bucket, bucket[starts] == last_bucket + 1
    base[first_runs] = np.where(alive & same, carried[1], 0)
    earlier[first_runs] = np.where(
        alive & same, carried[2], np.where(alive & next_one, carried[1], 0)
    )
    # … of a later one the total of the run before, if that is the bucket before.
    later = ~lives[runs]
    later[0] = False
    joined = later & (bucket[runs] == _before(bucket[runs]) + 1)
    earlier = np.where(later, np.where(joined, _before(base + length), 0), earlier)

    count = base[run] + np.arange(n) - runs[run]
    passed = np.clip(viewed / window_ms - bucket, 0, 1)
    return count + earlier[run] * (1 - passed), bucket, count + 1, earlier[run]


def _before(column: Ints) -> Ints:
    return np.concatenate([column[:1], column[:-1]])
