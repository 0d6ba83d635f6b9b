"""Counters of entities over time, shared by all partitions: what to count and how to ask.

A *family* counts, for one kind of entity, views and among them those of new viewers. Time is
cut into buckets of the family's window, with a phase of the entity's own: an entity's count
starts anew once per window, but never all of them at the same moment. `models.velocity` keeps
the counts in Redis; `LocalCounters` in memory, with the same answers, for training.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.hashing import Keys, combine
from models.index import KeyIndex

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint32]
"""Views, and views of new viewers, shape (k, 2)."""

_BUCKET_BITS = np.uint64(48)
_MAX_ROWS = 2**16 - 1


class Family(NamedTuple):
    """A kind of entity and the window it is counted in."""

    name: str
    """Also the name in Redis: give a changed family a new one."""
    window_ms: int


class Asked(NamedTuple):
    """k distinct counters, ascending by family and bucket."""

    family: npt.NDArray[np.uint8]
    """Rows of the table of families."""
    key: Keys
    """The bucket in the upper 16 bits, the hash of the entity in the lower 48."""

    @property
    def bucket(self) -> Ints:
        """The bucket of each counter, modulo 2^16, int64[k]."""
        return (self.key >> _BUCKET_BITS).astype(np.int64)


class Counters(Protocol):
    """Where counts are kept."""

    async def add(self, asked: Asked, increments: Counts) -> Counts | None:
        """Raises k counters by uint32[k, 2]; what they were before, or None if unknown."""


class Tally(NamedTuple):
    """How the n rows of a block share the counters of one family."""

    counter: Ints
    """Which of the k counters is a row's, int64[n]; -1 where the family does not apply."""
    before: Ints
    """What earlier rows of the block add to it, int64[2, n]."""


def tally(
    families: tuple[Family, ...],
    entities: list[Keys],
    applies: list[Bools | None],
    viewed_at: Ints,
    is_new: Bools,
) -> tuple[Asked, Counts, tuple[Tally, ...]]:
    """The counters of n rows, what each is to be raised by, and each row's part in them.

    Args:
        families: what is counted.
        entities: for each family the entity of each row, uint64[n].
        applies: for each family the rows that it counts, bool[n], or None for all.
        viewed_at: int64[n], ms.
        is_new: bool[n], whether the viewer is new.
    """
    n = len(viewed_at)
    number: list[npt.NDArray[np.uint8]] = []
    keys, increments, tallies = [], [], []
    k = 0
    for family, entity, mask in zip(families, entities, applies, strict=True):
        partly = mask is not None and not mask.all()
        rows: Any = np.flatnonzero(mask) if partly else slice(None)  # type: ignore[arg-type]
        key = _key(entity[rows], viewed_at[rows], family.window_ms)
        distinct, counter, before, total = _group(key, is_new[rows])
        of_row = Tally(counter + k, before)
        if partly:
            of_row = Tally(np.full(n, -1, np.int64), np.zeros((2, n), np.int64))
            of_row.counter[rows] = counter + k
            of_row.before[:, rows] = before
        tallies.append(of_row)
        number.append(np.full(len(distinct), len(number), np.uint8))
        keys.append(distinct)
        increments.append(total.T)
        k += len(distinct)
    asked = Asked(np.concatenate(number), np.concatenate(keys))
    return asked, np.concatenate(increments).astype(np.uint32), tuple(tallies)


def _key(entity: Keys, viewed_at: Ints, window_ms: int) -> Keys:
    entity = combine(entity)
    phase = (entity % np.uint64(window_ms)).astype(np.int64)
    bucket = ((viewed_at + phase) // window_ms).astype(np.uint64)
    return (bucket << _BUCKET_BITS) | (entity >> (np.uint64(64) - _BUCKET_BITS))


def _group(key: Keys, is_new: Bools) -> tuple[Keys, Ints, Ints, Ints]:
    """Distinct keys ascending, each row's place in them, sums before each row, and in all."""
    n = len(key)
    order = np.argsort(key, kind="stable")
    ordered, new = key[order], is_new[order]
    first = np.ones(n, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    runs = np.flatnonzero(first)
    length = np.diff(runs, append=n)
    counter, before, total = (
        np.empty(n, np.int64),
        np.empty((2, n), np.int64),
        np.empty((2, len(runs)), np.int64),
    )
    counter[order] = np.cumsum(first) - 1
    before[0, order] = np.arange(n) - np.repeat(runs, length)
    total[0] = length
    sums = np.zeros(n + 1, np.int64)
    np.cumsum(new, out=sums[1:])
    before[1, order] = sums[:-1] - np.repeat(sums[runs], length)
    total[1] = np.diff(sums[np.append(runs, n)])
    return ordered[runs], counter, before, total


class LocalCounters:
    """Counts in the memory of this process; nothing is ever forgotten."""

    def __init__(self) -> None:
        self._index = KeyIndex()
        self._counts = np.zeros((1024, 2), np.uint32)

    async def add(self, asked: Asked, increments: Counts) -> Counts:
        """See `Counters.add`; always knows."""
        key = combine(asked.family, asked.key)
        rows = self._index.find(key)
        missing = rows < 0
        rows[missing] = self._index.add(key[missing])
        while len(self._index) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        before = self._counts[rows]
        self._counts[rows] = before + increments
        return before
