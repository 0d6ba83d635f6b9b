"""What the rows of a block say of each of their entities, whatever was known before."""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.engine.families import Family
from models.engine.group import Columns, Group
from models.engine.state import Summaries, summary_type
from models.hashing import combine

Ints = npt.NDArray[np.int64]

_BIT = np.uint64(58)


def summarise(family: Family, group: Group, columns: Columns) -> Summaries:
    """One record of `summary_type` per entity of the group; of the rows of its last life.

    Args:
        columns: of the block, with `new` (whether the viewer is), bool[n], if views of new
            viewers are counted, and `watch_ms`, if watch times are kept.
    """
    found = np.zeros(len(group.keys), summary_type(family))
    begin, stop = group.lives[group.closing], group.stops
    found["begin"], found["seen"] = group.seen[group.starts], group.seen[stop]
    found["first"], found["n"] = group.time[begin], stop - begin + 1
    found["anew"] = group.closing != group.opening
    found["times"] = _last(group.time, begin, stop, family.tail)
    if family.watches:
        watch = columns["watch_ms"][group.rows]
        found["watches"] = _last(watch, begin, stop, family.watches)
    for w, ms in enumerate(family.windows):
        newest, earlier = _buckets(group, ms)
        sums = [np.arange(len(group.rows) + 1)]
        if family.counts_new:
            sums.append(_summed(columns["new"][group.rows]))
        for c, upto in enumerate(sums):
            found["count"][:, w, c] = upto[stop + 1] - upto[newest]
            found["earlier"][:, w, c] = upto[newest] - upto[earlier]
            found["rest"][:, w, c] = upto[newest] - upto[begin]
    for d, (column, ms) in enumerate(family.distinct):
        newest, earlier = _buckets(group, ms)
        word = words_of(columns[column][group.rows])
        found["bits"][:, d] = _union(word, newest, stop + 1)
        found["earlier_bits"][:, d] = _union(word, earlier, newest)
        found["rest_bits"][:, d] = _union(word, begin, newest)
    return found


def words_of(column: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each value as a set of 64 with one bit, uint64[m]; 0, the empty set, where it is unknown."""
    words: npt.NDArray[np.uint64] = (column != 0).astype(np.uint64) << (combine(column) >> _BIT)
    return words


def _last(column: npt.NDArray[Any], begin: Ints, stop: Ints, k: int) -> npt.NDArray[np.uint32]:
    """The last k values of each entity, aligned to the right, uint32[e, k]."""
    if k == 1:
        return column[stop, None].astype(np.uint32)
    at = stop[:, None] + np.arange(1 - k, 1)
    last: npt.NDArray[np.uint32] = column[np.maximum(at, begin[:, None])].astype(np.uint32)
    return last


def _buckets(group: Group, ms: int) -> tuple[Ints, Ints]:
    """Where in the last life of each entity its newest bucket begins, and the one before it."""
    begin = group.lives[group.closing]
    bucket = group.time // ms
    if not len(bucket) or bucket.min() == bucket.max():
        return begin, begin
    stop = group.stops
    # Buckets ascend within a life: made to ascend over all, they can be searched.
    offset = group.life * np.int64(1 << 44)
    ascending, newest = bucket + offset, bucket[stop] + offset[stop]
    at = np.maximum(np.searchsorted(ascending, newest), begin)
    return at, np.maximum(np.searchsorted(ascending, newest - 1), begin)


def _summed(values: npt.NDArray[np.bool_]) -> Ints:
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _union(word: npt.NDArray[np.uint64], begin: Ints, end: Ints) -> npt.NDArray[np.uint64]:
    """All bits of the rows from `begin` up to `end` of each entity."""
    found = np.zeros(len(begin), np.uint64)
    some = np.flatnonzero(begin < end)
    if len(some):
        # reduceat takes pairs (from, to); what is between them is thrown away.
        edges = np.stack([begin[some], end[some]], axis=1).ravel()
        padded = np.append(word, np.uint64(0))
        found[some] = np.bitwise_or.reduceat(padded, edges)[::2]
    return found
