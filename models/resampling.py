"""Shares with 95 % intervals, for which whole groups of rows are drawn.

Views of one farm are not independent, so whole promoters are drawn, each with all that was shown
for them on a day; whole viewers, where there are too few promoters.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.training import Examples

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RESAMPLES = 200
_Z = 1.96
_FEW_PROMOTERS = 30


class Groups(NamedTuple):
    """What is drawn as a whole."""

    whole: str
    of: Ints
    """Of each view, int64[n]."""
    times: Ints
    """How often each is drawn, int64[resamples, groups]."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a share."""
    p = hits / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def groups_of(examples: Examples, seed: int) -> Groups:
    """Promoters, or viewers where there are fewer than 30 promoters."""
    few = len(np.unique(examples.promoter)) < _FEW_PROMOTERS
    return (
        grouped("viewers", examples.viewer, seed)
        if few
        else grouped("promoters", examples.promoter, seed)
    )


def grouped(whole: str, keys: npt.NDArray[Any], seed: int) -> Groups:
    """Groups of the n rows that have the same key."""
    distinct, of = np.unique(keys, return_inverse=True)
    n, rng = len(distinct), np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(RESAMPLES)]
    return Groups(whole, of.astype(np.int64), np.array(drawn))


def share(part: Floats | Bools, among: Floats | Bools, of: Ints, times: Ints) -> dict[str, Any]:
    """The part of a whole that has a property, with its interval by `Groups`.

    Args:
        part: what of each row has it: bool[n], or float64[n] in micros.
        among: what of each row counts, bool[n] or float64[n].
        of: the group of each row, int64[n].
        times: see `Groups`.

    Returns:
        `n` rows that count, `rate`, `low` and `high`; None where nothing counts.
    """
    n, groups = int(np.count_nonzero(among)), times.shape[1]
    if n == 0:
        return {"n": 0, "rate": None, "low": None, "high": None}
    hits = np.bincount(of, np.where(among, part, 0), groups)
    wholes = np.bincount(of, among, groups)
    rate = hits.sum() / wholes.sum()
    if rate in (0, 1):
        # Whatever is drawn looks the same, though the next group may not.
        seen = int(np.count_nonzero(wholes))
        low, high = wilson(int(rate) * seen, seen)
    else:
        drawn = times @ wholes
        low, high = np.percentile((times @ hits)[drawn > 0] / drawn[drawn > 0], [2.5, 97.5])
    return {"n": n, "rate": rounded(rate), "low": rounded(low), "high": rounded(high)}


def rounded(value: Any) -> float:
    """As figures are written."""
    return round(float(value), 5)
