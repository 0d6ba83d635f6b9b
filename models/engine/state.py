"""What is remembered of an entity, and how what a block adds merges into it.

All of it are integers, and every part merges by adding, or-ing, taking the later or keeping the
last few, so that a store needs no more than the block's summary: the memory of this process, or a
Redis.

Times are kept as 32 bits of ms, which wrap around every 49 days; `seen` says around which day.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.engine.families import Family

Ints = npt.NDArray[np.int64]
States = npt.NDArray[np.void]
"""Records of `state_type`, one per entity; zeros for an entity that is not known."""
Summaries = npt.NDArray[np.void]
"""Records of `summary_type`, one per entity of a block."""

NEVER = -(1 << 43)
"""Before any time."""
WEEK = 7 * 24 * 3_600_000
FAR = 2 * WEEK
"""Times are told apart up to 24 days from `seen`; old `times` may be ten days older."""


def state_type(family: Family) -> np.dtype[np.void]:
    """The record of one entity."""
    w, c, d = len(family.windows), 1 + family.counts_new, len(family.distinct)
    return np.dtype(
        [
            ("seen", "<i8"),  # log time of the last view
            ("first", "<i8"),  # time of the first view of this life
            ("n", "<u4"),  # views in this life; 0: nothing is known
            ("times", "<u4", (family.tail,)),  # the last ones, the newest at the end
            ("watches", "<u4", (family.watches,)),  # likewise
            ("count", "<u4", (w, c)),  # views (and those of new viewers) in the newest bucket …
            ("earlier", "<u4", (w, c)),  # … and in the one before it
            ("bits", "<u8", (d,)),  # the same for sets
            ("earlier_bits", "<u8", (d,)),
        ],
        align=True,
    )


def summary_type(family: Family) -> np.dtype[np.void]:
    """The record of what a block says of one entity."""
    w, c, d = len(family.windows), 1 + family.counts_new, len(family.distinct)
    return np.dtype(
        [
            ("begin", "<i8"),  # log time of the first row
            ("seen", "<i8"),
            ("first", "<i8"),
            ("n", "<u4"),  # rows of the last life
            ("anew", "<u4"),  # whether a life begins within the block: forget what was known
            ("times", "<u4", (family.tail,)),
            ("watches", "<u4", (family.watches,)),
            ("count", "<u4", (w, c)),  # in the newest bucket of these rows,
            ("earlier", "<u4", (w, c)),  # in the one before it,
            ("rest", "<u4", (w, c)),  # and in all before the newest
            ("bits", "<u8", (d,)),
            ("earlier_bits", "<u8", (d,)),
            ("rest_bits", "<u8", (d,)),
        ],
        align=True,
    )


def merge(family: Family, old: States, summary: Summaries) -> States:
    """What is known of e entities after a block.

    Args:
        old: what was known before it, without what was `forgotten`.
        summary: of the same entities.
    """
    if summary["anew"].any():
        old = _without(old, summary["anew"] != 0)
    new = np.zeros(len(old), old.dtype)
    alive = old["n"] > 0
    new["seen"] = np.maximum(old["seen"], summary["seen"])
    new["first"] = np.where(alive, old["first"], summary["first"])
    new["n"] = old["n"] + summary["n"]

    floor = np.where(alive, last_time(old), NEVER)
    times = absolute(summary["times"], summary["seen"])
    newest = times[:, -1]
    times = np.maximum(times, floor[:, None]).astype(np.uint32)
    new["times"] = _last_of_both(old["times"], times, summary["n"])
    if family.watches:
        new["watches"] = _last_of_both(old["watches"], summary["watches"], summary["n"])

    behind: dict[int, Ints] = {}
    for ms in {*family.windows, *(ms for _, ms in family.distinct)}:
        behind[ms] = newest // ms - floor // ms
    for w, ms in enumerate(family.windows):
        for c in range(1 + family.counts_new):
            _shift(np.add, behind[ms], _COUNTS, old, summary, new, (slice(None), w, c))
    for d, (_, ms) in enumerate(family.distinct):
        _shift(np.bitwise_or, behind[ms], _BITS, old, summary, new, (slice(None), d))
    return new


def forgotten(family: Family, old: States, begin: Ints) -> States:
    """What is still known when entities are seen at `begin`, int64[e]; zeros of the others."""
    dead = begin - old["seen"] > family.keep_ms
    dead &= old["n"] > 0
    return _without(old, dead) if dead.any() else old


def absolute(times: npt.NDArray[np.uint32], seen: Ints) -> Ints:
    """Times in ms of times that wrap around, int64[e, k]."""
    around = seen.astype(np.uint32)[:, None]
    return seen[:, None] + (times - around).view(np.int32)


def last_time(states: States) -> Ints:
    """Of the last view, int64[e], ms; meaningless where nothing is known."""
    return absolute(states["times"][:, -1:], states["seen"])[:, 0]


_COUNTS = "count", "earlier", "rest"
_BITS = "bits", "earlier_bits", "rest_bits"


def _shift(
    join: np.ufunc,
    behind: Ints,
    names: tuple[str, str, str],
    old: States,
    summary: Summaries,
    new: States,
    at: Any,
) -> None:
    """Two buckets of `new`, from those of `old` and those of rows that are newer by `behind`
    buckets, or late (below 0)."""
    newest, earlier, rest = names
    was, now, before = old[newest][at], summary[newest][at], summary[rest][at]
    late = behind <= 0
    new[newest][at] = np.where(late, join(was, join(now, before)), now)
    follows = np.where(behind == 1, join(was, before), summary[earlier][at])
    new[earlier][at] = np.where(late, old[earlier][at], follows)


def _without(states: States, gone: npt.NDArray[np.bool_]) -> States:
    left = states.copy()
    left[gone] = np.zeros((), states.dtype)
    return left


def _last_of_both(old: Any, new: Any, n: npt.NDArray[np.uint32]) -> Any:
    """The last k of k older values and n newer ones, both aligned to the right."""
    k = old.shape[1]
    if k == 1:
        return new
    taken = np.minimum(n, k).astype(np.int64)[:, None]
    place = np.arange(k)
    at = np.where(place >= k - taken, k + place, place + taken)
    at += 2 * k * np.arange(len(old))[:, None]
    return np.concatenate([old, new], axis=1).ravel().take(at)
