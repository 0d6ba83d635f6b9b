"""How regularly an entity was seen before each row: from its last few times."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_SOON_S = 0.25
"""Gaps much shorter than this are alike."""
_SPREAD_OF = 3
"""Fewer gaps than this have neither spread nor entropy."""


def lagged(
    column: npt.NDArray[Any], before: npt.NDArray[Any], lives: Ints, life: Ints
) -> tuple[npt.NDArray[Any], Ints]:
    """The values of each life with the k that it had before in front.

    Args:
        column: of m rows by life.
        before: of l lives, [l, k].
        lives: first row of each life, int64[l].
        life: the life of each row, int64[m].

    Returns:
        Values [m + l · k], and where among them each row is, int64[m].
    """
    k = before.shape[1]
    padded = np.empty(len(column) + before.size, column.dtype)
    place = np.arange(len(column)) + k * (life + 1)
    padded[place] = column
    padded[(lives + k * np.arange(len(lives)))[:, None] + np.arange(k)] = before
    return padded, place


def gap_values(
    asked: Iterable[tuple[str, int]], time: Ints, before: Ints, had: Ints, lives: Ints, life: Ints
) -> dict[tuple[str, int], Floats]:
    """Aggregates of gaps, each float64[m] with NaN where there were too few views.

    Args:
        asked: aggregates and their k.
        time: int64[m], ms.
        before: times before, int64[l, K], the newest at the end.
        had: how many views there were in the life before each row, int64[m].
        lives, life: as in `lagged`.
    """
    asked = set(asked)
    padded, place = lagged(time, before, lives, life)
    between = np.empty(len(padded))
    between[:1] = 0
    np.subtract(padded[1:], padded[:-1], out=between[1:])
    between /= 1e3
    result: dict[tuple[str, int], Floats] = {}
    for aggregate, k in asked:
        if aggregate == "seconds since":
            result[aggregate, k] = np.where(had >= k, between[place - (k - 1)], np.nan)
        elif aggregate == "duration":
            result[aggregate, k] = np.where(had >= k, (time - padded[place - k]) / 1e3, np.nan)
        elif aggregate == "entropy of gaps":
            result[aggregate, k] = _entropy(between, place, had, k)
    pace = [k for aggregate, k in asked if aggregate in ("mean gap", "spread of gaps")]
    least = [k for aggregate, k in asked if aggregate == "least gap"]
    if least:
        result["least gap", max(least)] = _least(between, place, had, max(least))
    if pace:
        logs = np.log2(np.maximum(between, 0) + _SOON_S)
        mean, spread = _pace(logs, place, had, max(pace))
        result["mean gap", max(pace)], result["spread of gaps", max(pace)] = mean, spread
    return result


def spread(values: Floats, before: Floats, had: Ints, lives: Ints, life: Ints) -> Floats:
    """Standard deviation of each row's value and the k before it, float64[m]; NaN for fewer than
    three."""
    padded, place = lagged(values, before, lives, life)
    return _pace(padded, place, had + 1, before.shape[1] + 1)[1]


def repeats(values: Ints, before: Ints, had: Ints, lives: Ints, life: Ints) -> Floats:
    """How many of the k values before each row's are the same, float64[m]; NaN without any."""
    padded, place = lagged(values, before, lives, life)
    same = np.zeros(len(values))
    for d in range(1, before.shape[1] + 1):
        same += (padded[place - d] == values) & (had >= d)
    return np.where(had > 0, same, np.nan)


def _least(between: Floats, place: Ints, had: Ints, k: int) -> Floats:
    low = np.where(had > 0, between[place], np.nan)
    for d in range(1, k):
        rows = np.flatnonzero(had > d)
        low[rows] = np.minimum(low[rows], between[place[rows] - d])
    return low


def _entropy(between: Floats, place: Ints, had: Ints, k: int) -> Floats:
    """Shannon entropy of the last k gaps, in buckets of powers of two, bits."""
    entropy = np.full(len(place), np.nan)
    rows = np.flatnonzero(had >= _SPREAD_OF)
    n, lag = np.minimum(had[rows], k), np.arange(k)[:, None]
    bucket = np.frexp(np.maximum(between, 0) + _SOON_S)[1][place[rows] - lag]
    bucket = np.where(lag < n, bucket, -1_000 - lag)  # what was not, in a bucket of its own
    alike = (bucket[:, None] == bucket).sum(axis=0)
    # Whole numbers (up to k = 15): the same in any order, and exactly 0 if all are alike.
    entropy[rows] = np.log2(n**n / alike.prod(axis=0)) / n
    return entropy


def _pace(logs: Floats, place: Ints, had: Ints, k: int) -> tuple[Floats, Floats]:
    """Weighted mean (each gap half of the next newer one) and spread of the last k values."""
    n = np.minimum(had, k)
    weighted, plain, squares, weight = np.zeros((4, len(place)))
    for d in range(k):
        rows = np.flatnonzero(n > d)
        value = logs[place[rows] - d]
        weighted[rows] += 0.5**d * value
        weight[rows] += 0.5**d
        plain[rows] += value
        squares[rows] += value * value
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = plain / n
        deviation = np.sqrt(np.maximum(squares / n - mean * mean, 0))
        return weighted / weight, np.where(n >= _SPREAD_OF, deviation, np.nan)
