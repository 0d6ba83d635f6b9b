"""Days to train, validate and test on: what is usual differs more between them than within one.

Without small, slow and otherwise unlike days, a threshold that flags one person in two hundred on
ordinary ones flagged three in a hundred on slow ones.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from models.batch import Batch
from models.hashing import words_of
from pipeline.simulate.traffic import START_MS

ORDINARY = "ordinary"
_LEAST_LINES = 300


class Sort(NamedTuple):
    """A sort of day."""

    name: str
    description: str
    volumes: tuple[float, ...]
    """Of days of this sort, as parts of `--events`."""
    vary: Callable[[Batch], Batch]
    """Makes it of simulated traffic."""


class Day(NamedTuple):
    """One simulated day."""

    sort: Sort
    lines: int
    seed: int


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _paced(pace: float) -> Callable[[Batch], Batch]:
    def vary(batch: Batch) -> Batch:
        log_time, viewed_at = (
            START_MS + ((time - START_MS) / pace).astype(np.int64)
            for time in (batch.log_time, batch.viewed_at)
        )
        return batch._replace(log_time=log_time, viewed_at=viewed_at)

    return vary


def _one_promoter(batch: Batch) -> Batch:
    one = np.ones(len(batch.viewer), np.uint64)
    return batch._replace(promoter=one, campaign=one)


def _no_addresses(batch: Batch) -> Batch:
    nothing = np.zeros(len(batch.viewer), np.uint64)
    return batch._replace(address=nothing, prefix=nothing)


def _no_devices(batch: Batch) -> Batch:
    nothing = np.zeros(len(batch.viewer), np.uint64)
    words = words_of(pa.nulls(len(nothing), pa.string()))
    return batch._replace(device=nothing, user_agents=words, screens=words)


_FEW = (0.15, 0.05)
SORTS = (
    Sort(ORDINARY, "large and small, as they are simulated", (3, 1, 0.5, 0.25), _as_it_is),
    Sort("tiny", "a beginning: few views of everybody", (0.1, *([0.03] * 5)), _as_it_is),
    Sort("slow", "the same in six days", _FEW, _paced(1 / 6)),
    Sort("fast", "the same in four hours", _FEW, _paced(6)),
    Sort(
        "one promoter",
        "all views for one promoter and campaign",
        _FEW,
        _one_promoter,
    ),
    Sort("no addresses", "a sender that has none", _FEW, _no_addresses),
    Sort("no devices", "a sender without user agents and screens", _FEW, _no_devices),
)
TIMES = {"training": 3, "validation": 2, "test": 2}
"""How often each part has the days of each sort."""
_TEST_SEEDS = 1000
"""Test days stay what they are when others are added."""


def weight_of(sort: Sort) -> float:
    """Of a day of this sort in the rate of false positives: ordinary days have half of it, all
    others together the other half, and small days as much as large ones."""
    is_ordinary = sort.name == ORDINARY
    alike = [one for one in SORTS if (one.name == ORDINARY) == is_ordinary]
    return 1 / sum(len(one.volumes) for one in alike)


def days_of(part: str, events: int, seed: int) -> Iterator[Day]:
    """The days of a part; no two of all have the same seed.

    Args:
        part: of `TIMES`.
        events: lines of an ordinary day of volume 1.
        seed: of the first training day.
    """
    per_time = sum(len(sort.volumes) for sort in SORTS)
    first = {"training": 0, "validation": TIMES["training"] * per_time, "test": _TEST_SEEDS}[part]
    volumes = [(sort, volume) for sort in SORTS for volume in sort.volumes] * TIMES[part]
    for i, (sort, volume) in enumerate(volumes):
        yield Day(sort, max(int(events * volume), _LEAST_LINES), seed + first + i)


def all_days(events: int, seed: int) -> Iterator[Day]:
    """The days of all parts."""
    for part in TIMES:
        yield from days_of(part, events, seed)
