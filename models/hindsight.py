"""What a view looks like from some time later: the rules by which settlement judges again.

A function of the views of a stretch of the log, with those around it: what the traffic of an
address, a device or a pattern of watching comes to, seen as a whole. All rules are about views
for one promoter, because that is who is paid for them; each needs several times more than there
would be if it had nothing to do with the promoter, and a least number, so that little traffic
denies nobody.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.batch import Batch
from models.hashing import Keys, combine

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RULES_VERSION = "1"
"""Stamped on every correction: change it with any change below."""


class Rule(NamedTuple):
    """Flags a view whose group has at least `views` and is `lift` times as large as by chance."""

    name: str
    description: str
    views: int
    lift: float
    share: float
    """At least this part of the group's whole traffic is for the promoter."""


RULES = (
    Rule("replayed_sequence", "two watch times in a row that many viewers share", 6, 20.0, 0.0),
    Rule("address_of_promoter", "an address that watches one promoter", 25, 20.0, 0.6),
    Rule("device_of_promoter", "one kind of device that watches one promoter", 40, 30.0, 0.5),
)
_TIMING_MS = 16
_LEAST_WATCH_MS = 2_000
"""What is shorter is alike by chance."""


class Shares(NamedTuple):
    """Of the group of each of n views."""

    views: Ints
    """0 where the view has no such group."""
    lift: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]


def measure(batch: Batch) -> dict[str, Shares]:
    """How large the group of each of n views is, by rule; the views in log order."""
    return {
        "replayed_sequence": _sequences(batch),
        "address_of_promoter": _pairs(batch.address, batch.promoter),
        "device_of_promoter": _pairs(batch.device, batch.promoter),
    }


def flags(batch: Batch) -> dict[str, Bools]:
    """Which of n views each rule is against, bool[n]."""
    found = measure(batch)
    return {
        rule.name: (of.views >= rule.views) & (of.lift >= rule.lift) & (of.share >= rule.share)
        for rule in RULES
        for of in [found[rule.name]]
    }


def _pairs(entity: Keys, promoter: Keys) -> Shares:
    """Views of an entity for a promoter, against the part that he has of all others' views."""
    known = entity != 0
    pair = _count(combine(entity, promoter))
    of_entity, of_promoter = _count(entity), _count(promoter)
    expected = of_entity * (of_promoter - pair) / np.maximum(len(entity) - of_entity, 1)
    return Shares(np.where(known, pair, 0), pair / np.maximum(expected, 1.0), pair / of_entity)


def _sequences(batch: Batch) -> Shares:
    """Viewers with the same two watch times in a row, before and after this one."""
    n = len(batch.viewer)
    order = np.argsort(batch.viewer, kind="stable")
    viewer, watch = batch.viewer[order], batch.watch_ms[order]
    follows = np.zeros(n, np.bool_)
    follows[1:] = viewer[1:] == viewer[:-1]
    before = np.zeros(n, np.int64)
    before[1:] = watch[:-1]
    long = follows & (watch >= _LEAST_WATCH_MS) & (before >= _LEAST_WATCH_MS)
    first, second = (
        combine(np.array([side], np.uint64).repeat(n), time // _TIMING_MS)
        for side, time in ((1, before), (2, watch))
    )
    key = combine(first, second)
    viewers = np.zeros(n, np.int64)
    expected = np.ones(n)
    rows = np.flatnonzero(long)
    if len(rows):
        viewers[rows] = _viewers_of(key[rows], viewer[rows])
        # As often as the others have the two times, each by itself.
        pair = _count(key[rows])
        others = (_count(first[rows]) - pair) * (_count(second[rows]) - pair)
        expected[rows] = others / np.maximum(len(rows) - pair, 1)
    # The earlier view of the two is as much a copy as the later one.
    earlier = rows - 1
    whole, chance = viewers.copy(), expected.copy()
    better = viewers[rows] > whole[earlier]
    whole[earlier[better]], chance[earlier[better]] = viewers[rows[better]], expected[rows[better]]
    back = np.empty(n, np.int64)
    back[order] = np.arange(n)
    whole, chance = whole[back], chance[back]
    return Shares(whole, whole / np.maximum(chance, 0.05), np.ones(n))


def _count(key: Keys) -> Ints:
    """How many rows have the key of each row."""
    _, place, counts = np.unique(key, return_inverse=True, return_counts=True)
    found: Ints = counts[place].astype(np.int64)
    return found


def _viewers_of(key: Keys, viewer: Keys) -> Ints:
    """How many viewers have the key of each row."""
    _, place = np.unique(key, return_inverse=True)
    pairs = np.unique(np.stack([place.astype(np.uint64), viewer], axis=1), axis=0)
    found: Ints = np.bincount(pairs[:, 0].astype(np.int64), minlength=int(place.max()) + 1)
    return found[place]
