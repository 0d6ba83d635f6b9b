"""Training on labelled features: small, slow boosted trees, the mean of a few seeds."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from models.registry import ONE_THREAD

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_SEEDS = 4
_SETTINGS: dict[str, Any] = {
    "max_iter": 60,
    "max_leaf_nodes": 8,
    "learning_rate": 0.08,
    "min_samples_leaf": 30,
    "l2_regularization": 15.0,
    "max_features": 0.3,  # lets the weaker features speak
    "early_stopping": False,
}
_MOST_OF_VIEWER = 100
"""Of a viewer with more events about so many are trained on."""
_NEGATIVES = 15_000
_NEGATIVES_PER_POSITIVE = 10
"""More negatives than this say nothing new, and take their time."""


class Ensemble(NamedTuple):
    """A fitted model."""

    used: npt.NDArray[np.int64]
    """The columns that say anything at all."""
    estimators: list[Any]

    def score(self, features: Floats) -> Floats:
        """The log-odds of n rows, float64[n], up to a constant."""
        columns = features[:, self.used]
        with ONE_THREAD.limit(limits=1, user_api="openmp"):
            scores = [estimator.decision_function(columns) for estimator in self.estimators]
        mean: Floats = np.mean(scores, axis=0)
        return mean


def fit_ensemble(features: Floats, positive: Bools, weight: Floats, seed: int) -> Ensemble:
    """Trains on n rows.

    Args:
        features: float64[n, F], NaN allowed.
        positive: bool[n].
        weight: the chance of each row to be in one of the trainings, float64[n].
        seed: the same gives the same model.
    """
    used = np.flatnonzero([_says_anything(column) for column in features.T])
    columns = features[:, used]
    estimators = []
    for i in range(_SEEDS):
        # Drawn, not weighted: with weights scikit-learn takes a hundred times longer for bins.
        drawn = np.random.default_rng((seed, i)).random(len(weight)) < weight
        estimator = HistGradientBoostingClassifier(**_SETTINGS, random_state=_SEEDS * seed + i)
        with ONE_THREAD.limit(limits=1, user_api="openmp"):
            estimators.append(estimator.fit(columns[drawn], positive[drawn]))
    return Ensemble(used, estimators)


def thinned(positive: Bools, seed: int) -> npt.NDArray[np.int64]:
    """Rows to train on: all positives, and as many others as say something, in order."""
    others = np.flatnonzero(~positive)
    most = max(_NEGATIVES, _NEGATIVES_PER_POSITIVE * int(positive.sum()))
    if len(others) > most:
        others = np.random.default_rng(seed).choice(others, most, replace=False)
    return np.sort(np.append(np.flatnonzero(positive), others))


def viewer_weights(viewer: npt.NDArray[Any]) -> Floats:
    """Weights of n events so that no viewer speaks for all, float64[n], at most 1."""
    _, which, events = np.unique(viewer, return_inverse=True, return_counts=True)
    weight: Floats = np.minimum(1, _MOST_OF_VIEWER / events)[which]
    return weight


def _says_anything(column: Floats) -> bool:
    # HistGradientBoosting raises on a column that is NaN throughout.
    known = column[~np.isnan(column)]
    return bool(len(known)) and bool((known != known[0]).any())
