"""How well scores rank labelled events: figures with 95 % bootstrap intervals.

Events of one viewer are not independent, so whole viewers are drawn, not events.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_RESAMPLES = 400
_FALSE_POSITIVES = (0.01, 0.001)


class Figure(NamedTuple):
    """A figure and its interval."""

    estimate: float
    low: float
    high: float


def figures(
    positive: Bools,
    score: Floats,
    viewer: npt.NDArray[Any],
    seed: int,
    resamples: int = _RESAMPLES,
) -> dict[str, Any]:
    """ROC-AUC, PR-AUC (average precision) and recall at 1 % and at 0.1 % false positives.

    Args:
        positive: bool[n], both kinds among them.
        score: float64[n]; positives should have higher ones.
        viewer: whose event each is, or what else is to be drawn as a whole, [n].
        seed: of the resampling.
        resamples: how many are drawn.

    Returns:
        `n`, `positives`, `viewers`, and four dicts of `Figure`.

    Raises:
        ValueError: there are positives only, or none.
    """
    if positive.all() or not positive.any():
        raise ValueError(f"{'all' if positive.all() else 'none'} of {len(positive)} are positive")
    order = np.argsort(-score, kind="stable")
    positive, score = positive[order], score[order]
    _, viewer = np.unique(viewer[order], return_inverse=True)
    viewers = int(viewer.max()) + 1
    last = np.append(np.diff(score) != 0, True)
    rng = np.random.default_rng(seed)
    drawn: list[tuple[float, ...]] = []
    while len(drawn) < resamples:
        times = np.bincount(rng.integers(0, viewers, viewers), minlength=viewers)[viewer]
        if times[positive].any() and times[~positive].any():
            drawn.append(_four(positive, times, last))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    estimate = _four(positive, np.ones(len(positive), np.int64), last)
    found = [Figure(*map(_rounded, one)) for one in zip(estimate, low, high, strict=True)]
    return {
        "roc_auc": found[0]._asdict(),
        "pr_auc": found[1]._asdict(),
        "recall_at_1pct_fpr": found[2]._asdict(),
        "recall_at_01pct_fpr": found[3]._asdict(),
        "n": len(positive),
        "positives": int(positive.sum()),
        "viewers": viewers,
    }


def _rounded(value: float) -> float:
    return round(float(value), 5)


def _four(positive: Bools, times: npt.NDArray[np.int64], last: Bools) -> tuple[float, ...]:
    """The figures of events by falling score.

    Args:
        positive: bool[n].
        times: how often each was drawn, int64[n].
        last: whether the next score is another one, bool[n].
    """
    hits = np.cumsum(times * positive)[last]
    misses = np.cumsum(times * ~positive)[last]
    some, others = hits[-1], misses[-1]
    new_hits, new_misses = np.diff(hits, prepend=0), np.diff(misses, prepend=0)
    # A tie counts half.
    above = (new_misses * (2 * hits - new_hits)).sum() / 2
    precision = hits / np.maximum(hits + misses, 1)
    recalls = []
    for rate in _FALSE_POSITIVES:
        within = np.searchsorted(misses, rate * others, side="right")
        recalls.append(hits[within - 1] / some if within else 0.0)
    return above / some / others, (new_hits * precision).sum() / some, *recalls
