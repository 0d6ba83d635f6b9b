"""The rows of a block by entity, and the lives of each entity among them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.families import Family
from models.hashing import Keys, combine

Ints = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[Any]]
"""A block of n rows in log order: entities as uint64[n], 0 where unknown; `time` int64[n], ms, when
it was viewed; `seen` int64[n], ms, log time; and values as float64[n]."""

_TIME_BITS = 44


class Group(NamedTuple):
    """m rows of a block that have the entity, sorted by entity (e of them) and then log order.

    An entity that was not seen for its family's `keep_ms` begins a new life, of which there are l.
    """

    rows: Ints
    """Where in the block each row is, int64[m]."""
    keys: Keys
    """Distinct entities, uint64[e]."""
    starts: Ints
    """First row of each entity, int64[e]."""
    stops: Ints
    """Last row of each entity, int64[e]."""
    lives: Ints
    """First row of each life, int64[l]."""
    life: Ints
    """The life of each row, int64[m]."""
    opening: Ints
    """First life of each entity, int64[e]."""
    closing: Ints
    """Last life of each entity, int64[e]."""
    seen: Ints
    time: Ints
    """Never goes back within a life: a late view counts as now."""


def group(family: Family, columns: Columns) -> Group:
    """The rows that have the family's entity. Each of `family.of` has to be a column."""
    key = entity_of(family, columns)
    if key is None:
        n = len(columns["time"])
        rows, keys = np.arange(n), np.ones(min(n, 1), np.uint64)
        starts = np.zeros(len(keys), np.int64)
    else:
        rows = np.flatnonzero(key)
        rows, keys, starts = _sorted(key, rows) if len(rows) < len(key) else _sorted(key, None)
    seen, time = columns["seen"][rows], columns["time"][rows]
    stops = np.append(starts[1:], len(rows))[: len(starts)] - 1
    lives, opening, closing = starts, np.arange(len(starts)), np.arange(len(starts))
    if len(rows) and int(columns["seen"][-1] - columns["seen"][0]) > family.keep_ms:
        first = np.zeros(len(rows), np.bool_)
        first[1:] = seen[1:] - seen[:-1] > family.keep_ms
        first[starts] = True
        lives = np.flatnonzero(first)
        opening = np.searchsorted(lives, starts)
        closing = np.append(opening[1:], len(lives))[: len(starts)] - 1
    length = np.diff(lives, append=len(rows))
    life = np.repeat(np.arange(len(lives)), length)
    return Group(
        rows, keys, starts, stops, lives, life, opening, closing, seen, forward(time, lives, life)
    )


def entity_of(family: Family, columns: Columns) -> Keys | None:
    """The entity of each row, uint64[n], 0 where a part of it is unknown; None for all traffic."""
    if not family.of:
        return None
    parts = [columns[name] for name in family.of]
    # Also for single ones: addresses are numbers that differ in their lower bits only.
    key = combine(*parts)
    for part in parts:
        key[part == 0] = 0
    return key


def forward(time: Ints, lives: Ints, life: Ints, floor: Ints | None = None) -> Ints:
    """Time that never goes back within a life, int64[m].

    Args:
        floor: int64[l], where the time of each life had been before.
    """
    early = floor is not None and bool((floor > time[lives]).any())
    if not early:
        back = time[1:] < time[:-1]
        back[lives[1:] - 1] = False
        if not back.any():
            return time
    time = time.copy()
    if floor is not None:
        time[lives] = np.maximum(time[lives], floor)
    offset = life << _TIME_BITS
    latest: Ints = np.maximum.accumulate(time + offset)
    return latest - offset


def _sorted(key: Keys, among: Ints | None) -> tuple[Ints, Keys, Ints]:
    """Rows by key, distinct keys, and the first row of each."""
    key = key if among is None else key[among]
    # Sorting plain numbers is a multiple faster than `argsort`: put the row into the lower bits.
    bits = np.uint64(len(key).bit_length())
    packed = (key >> bits << bits) | np.arange(len(key), dtype=np.uint64)
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    keys, starts = _runs(key[order])
    if not (keys[1:] > keys[:-1]).all():  # two keys with the same upper bits, in turns
        order = np.argsort(key, kind="stable")
        keys, starts = _runs(key[order])
    return order if among is None else among[order], keys, starts


def _runs(key: Keys) -> tuple[Keys, Ints]:
    first = np.ones(len(key), np.bool_)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return key[starts], starts
