"""Target encodings: how often events of a campaign, promoter or pair of them were positive.

The value is a log-odds, smoothed with the weight of 50 events: of what is rare in the training
slice it says little, of what is unknown nothing. A pair is drawn to what its two parts say. What a
training row is given is fitted without its own stretch of time, so that no row sees its own label.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.hashing import Keys, combine

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ENCODINGS: tuple[tuple[str, ...], ...] = (
    ("campaign",),
    ("promoter",),
    ("campaign", "promoter"),
    ("device",),
    ("model",),
    ("os",),
    ("campaign", "model"),
    ("campaign", "os"),
    ("promoter", "os"),
)
"""Columns, and pairs of them, that are encoded where a file has them."""

_WEIGHT = 50.0
_PARENTS = 0.5
"""Two parts of a pair partly say the same."""
_STRETCHES = 10


class Encoding(NamedTuple):
    """What one column, or a pair, says."""

    of: tuple[str, ...]
    keys: Keys
    """Ascending, uint64[k]."""
    events: Floats
    positives: Floats


class Encodings(NamedTuple):
    """Fitted encodings, singles before the pairs of them."""

    base: float
    """Log-odds of all events."""
    fitted: tuple[Encoding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that `encoded` gives."""
        return tuple("odds of " + " × ".join(one.of) for one in self.fitted)


def fit_encodings(columns: Mapping[str, npt.NDArray[Any]], positive: Bools) -> Encodings:
    """Counts positives among n events.

    Args:
        columns: those of `ENCODINGS` that there are, uint64[n] each.
        positive: bool[n].
    """
    fitted = []
    for of in ENCODINGS:
        if columns.keys() >= set(of):
            keys, which = np.unique(combine(*(columns[name] for name in of)), return_inverse=True)
            events = np.bincount(which).astype(np.float64)
            positives = np.bincount(which, positive).astype(np.float64)
            fitted.append(Encoding(of, keys, events, positives))
    return Encodings(_log_odds((positive.sum() + 0.5) / (len(positive) + 1)), tuple(fitted))


def encoded(encodings: Encodings, columns: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """What the encodings say of n events, float64[n, len(encodings.fitted)]."""
    found: dict[tuple[str, ...], Floats] = {}
    for one in encodings.fitted:
        key = combine(*(columns[name] for name in one.of))
        at = np.minimum(np.searchsorted(one.keys, key), len(one.keys) - 1)
        known = one.keys[at] == key
        events, positives = (
            np.where(known, one.events[at], 0),
            np.where(known, one.positives[at], 0),
        )
        expected = np.full(len(key), encodings.base)
        if len(one.of) > 1:
            expected += _PARENTS * sum(found[name,] - encodings.base for name in one.of)
        prior = 1 / (1 + np.exp(-expected))
        found[one.of] = _log_odds((positives + _WEIGHT * prior) / (events + _WEIGHT))
    return np.column_stack(list(found.values()))


def out_of_time(columns: Mapping[str, npt.NDArray[Any]], positive: Bools) -> Floats:
    """Encodings of n training events in time order, each fitted on the other nine tenths of the
    time, float64[n, …]."""
    parts: Sequence[npt.NDArray[np.int64]] = np.array_split(np.arange(len(positive)), _STRETCHES)
    found = []
    for part in parts:
        if not len(part):
            continue
        others = np.ones(len(positive), np.bool_)
        others[part] = False
        fitted = fit_encodings({n: c[others] for n, c in columns.items()}, positive[others])
        found.append(encoded(fitted, {name: column[part] for name, column in columns.items()}))
    return np.concatenate(found)


def _log_odds(share: Any) -> Any:
    return np.log(share / (1 - share))
