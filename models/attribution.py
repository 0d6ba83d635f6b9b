"""What each feature adds to the raw score of one view: exact Shapley values of boosted trees.

The game of `TreeExplainer` (Lundberg et al., 2020, path-dependent): a feature that is not known
lets a row go both ways at its splits, in the shares in which the training views went. A leaf is
then worth its value times a product over the features on its path: 1 or 0 for a known one, by
whether the row fits, and a share for an unknown one. Shapley values of a product are sums over
the coefficients of a polynomial, so no subset has to be tried.
"""

from collections.abc import Iterator, Mapping
from math import factorial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.registry import UNCALIBRATED, Calibration

Floats = npt.NDArray[np.float64]


class Attribution(NamedTuple):
    """`base` and all contributions sum to the log-odds of a bot."""

    base: float
    """The mean of the training views."""
    contributions: Floats
    """float64[F]; above zero speaks for a bot."""


class _Seen(NamedTuple):
    """What a path asks of one feature."""

    fits: bool
    """Whether the row takes all of its turns."""
    share: float
    """Of the training views that take them, of those that come by."""


def attribute(
    estimator: Any, row: npt.NDArray[np.float32], calibration: Calibration = UNCALIBRATED
) -> Attribution:
    """Takes the log-odds of a view apart.

    Args:
        estimator: a fitted HistGradientBoostingClassifier of two classes, without categories.
        row: the features of the view, float32[F], NaN allowed. Thresholds are rounded like them,
            so that a value on a threshold stays on it.
        calibration: what the raw score is multiplied by, and what is added.
    """
    slope, intercept = calibration
    base = float(estimator._baseline_prediction[0, 0])
    contributions = np.zeros(len(row))
    for (predictor,) in estimator._predictors:
        for value, path in _leaves(predictor.nodes, 0, row, {}):
            base += value * float(np.prod([seen.share for seen in path.values()]))
            for feature, weight in _shapley(path):
                contributions[feature] += value * weight
    return Attribution(slope * base + intercept, slope * contributions)


def _leaves(
    nodes: npt.NDArray[np.void], at: int, row: npt.NDArray[np.float32], path: Mapping[int, _Seen]
) -> Iterator[tuple[float, Mapping[int, _Seen]]]:
    """Every leaf below a node: its value, and what its path asks of each feature."""
    node = nodes[at]
    if node["is_leaf"]:
        yield float(node["value"]), path
        return
    feature = int(node["feature_idx"])
    value = row[feature]
    goes_left = bool(
        node["missing_go_to_left"]
        if np.isnan(value)
        else value <= np.float32(node["num_threshold"])
    )
    before = path.get(feature, _Seen(fits=True, share=1.0))
    for child, turn in ((node["left"], goes_left), (node["right"], not goes_left)):
        share = before.share * float(nodes[child]["count"]) / float(node["count"])
        seen = _Seen(before.fits and turn, share)
        yield from _leaves(nodes, int(child), row, {**path, feature: seen})


def _shapley(path: Mapping[int, _Seen]) -> Iterator[tuple[int, float]]:
    """The Shapley value of each feature in the product game of one leaf."""
    n = len(path)
    for feature, seen in path.items():
        # Of the others: how much the sets of each size come to, all together.
        sizes = np.ones(1)
        for other, (fits, share) in path.items():
            if other != feature:
                sizes = np.convolve(sizes, [share, float(fits)])
        orders = [factorial(k) * factorial(n - 1 - k) / factorial(n) for k in range(n)]
        yield feature, (float(seen.fits) - seen.share) * float(sizes @ orders)
