"""How many views, and how many different values, there were in a window before each row.

A window is two aligned buckets: the newest, and of the one before it the share that is not yet
over. Late views count in the newest bucket, so that each bucket of an entity is one *run* of rows.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.state import States, last_time

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


class Runs(NamedTuple):
    """m rows by life and bucket, in r runs."""

    starts: Ints
    """First row of each run, int64[r]."""
    of: Ints
    """The run of each row, int64[m]."""
    opening: Ints
    """The first run of each life, int64[l]."""
    follows: npt.NDArray[np.bool_]
    """Whether the run before it is of the same life and of the bucket before, bool[r]."""
    same: npt.NDArray[np.bool_]
    """Whether a life goes on in the bucket in which it was carried, bool[l]."""
    next: npt.NDArray[np.bool_]
    """Whether it goes on in the bucket after that, bool[l]."""
    left: Floats
    """The share of the bucket before that is still in the window, float64[m]."""


def runs(time: Ints, ms: int, lives: Ints, life: Ints, carried: States) -> Runs:
    """Cuts lives into runs.

    Args:
        time: int64[m], never going back within a life, nor behind what was carried.
        ms: the window.
        lives: first row of each life, int64[l].
        life: the life of each row, int64[m].
        carried: what was known of each life, [l].
    """
    bucket = time // ms
    left = 1 - (time - bucket * ms) / ms
    first = bucket[lives]
    behind = np.where(carried["n"] > 0, first - last_time(carried) // ms, -1)
    if len(bucket) and bucket.min() == bucket.max():
        none = np.zeros(len(lives), np.bool_)
        return Runs(lives, life, np.arange(len(lives)), none, behind == 0, behind == 1, left)
    begins = np.zeros(len(bucket), np.bool_)
    np.not_equal(bucket[1:], bucket[:-1], out=begins[1:])
    begins[lives] = True
    starts = np.flatnonzero(begins)
    of = np.cumsum(begins) - 1
    follows = np.zeros(len(starts), np.bool_)
    of_run = bucket[starts]
    follows[1:] = of_run[1:] == of_run[:-1] + 1
    follows[of[lives]] = False
    return Runs(starts, of, of[lives], follows, behind == 0, behind == 1, left)


def counted(runs: Runs, count: Any, earlier: Any, upto: Ints) -> Floats:
    """The sum of a column over the window before each row, float64[m].

    Args:
        runs: of the window.
        count: what each life had in its newest bucket, uint32[l].
        earlier: and in the one before it, uint32[l].
        upto: sums of the column over all rows before each row, and in all, int64[m + 1].
    """
    base, before = _carried(runs, count.astype(np.int64), earlier.astype(np.int64))
    begin = upto[runs.starts]
    total = base + np.append(begin[1:], upto[-1]) - begin
    before[1:][runs.follows[1:]] = total[:-1][runs.follows[1:]]
    result: Floats = (upto[:-1] + (base - begin)[runs.of]).astype(np.float64)
    if before.any():
        result += before[runs.of] * runs.left
    return result


def distinct(runs: Runs, bits: Any, earlier: Any, words: Words) -> Floats:
    """How many different values there were in the newest two buckets before each row, float64[m].

    Args:
        runs: of the window.
        bits: what each life had in its newest bucket, uint64[l].
        earlier: and in the one before it, uint64[l].
        words: the value of each row as a set of one, uint64[m].
    """
    base, before = _carried(runs, bits, earlier)
    total = base | (np.bitwise_or.reduceat(words, runs.starts) if len(words) else base)
    before[1:][runs.follows[1:]] = total[:-1][runs.follows[1:]]
    had = base | before
    unseen = (words & ~had[runs.of]) != 0
    rows = np.flatnonzero(unseen)
    # Of the rows of a run with the same value the first is new: assigned backwards, it is the last
    # that is written.
    place = (runs.of[rows] << 6) | np.bitwise_count(words[rows] - np.uint64(1))
    first = np.empty(len(runs.starts) << 6, np.int32)
    first[place[::-1]] = rows[::-1]
    upto = np.zeros(len(words) + 1, np.int64)
    upto[rows[first[place] == rows] + 1] = 1
    np.cumsum(upto, out=upto)
    start = np.bitwise_count(had) - upto[runs.starts]
    result: Floats = (upto[:-1] + start[runs.of]).astype(np.float64)
    return result


def _carried(runs: Runs, newest: Any, earlier: Any) -> tuple[Any, Any]:
    """What each run begins with, and what the bucket before it had, [r] each; where that is the
    run before, nothing yet."""
    zero = newest.dtype.type(0)
    base, before = np.zeros((2, len(runs.starts)), newest.dtype)
    base[runs.opening] = np.where(runs.same, newest, zero)
    before[runs.opening] = np.where(runs.same, earlier, np.where(runs.next, newest, zero))
    return base, before
