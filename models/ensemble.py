"""Training on labelled features: several opinions that err differently.

Small, slow boosted trees rank well whatever is left out; of many positives larger ones learn
more. Where positives are few a forest of randomised trees is surer of those that are almost
certain. A straight line through target encodings is steady where little is known of the rest.
Settings are by cross-validation in time on TalkingData (few positives) and Wikipedia (many).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.registry import ONE_THREAD

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BOOSTED: dict[str, Any] = {
    "learning_rate": 0.08,
    "min_samples_leaf": 30,
    "l2_regularization": 15.0,
    "max_features": 0.3,  # lets the weaker features speak
    "early_stopping": False,
}
_SMALL = {"max_iter": 60, "max_leaf_nodes": 8}
_LARGE = {"max_iter": 120, "max_leaf_nodes": 16}
_MANY_POSITIVES = 2_000
_FOREST: dict[str, Any] = {"n_estimators": 100, "min_samples_leaf": 10, "max_features": 0.3}
_FLOOR = 0.03
"""Below this probability the forest has too few positives in its leaves to say anything."""
_OF_FOREST, _OF_LINE = 2.0, 0.5
_MOST_OF_VIEWER = 200
"""Small trees see about so many rows of a viewer, and so more of those who have few."""
_NEGATIVES = 15_000
_NEGATIVES_PER_POSITIVE = 10
"""More negatives than this say nothing new, and take their time."""


class Ensemble(NamedTuple):
    """A fitted model."""

    used: npt.NDArray[np.int64]
    """The columns that say anything at all."""
    boosted: list[Any]
    forest: Any
    """None with many positives."""
    line: Any
    """None without encodings."""
    encodings: int
    """How many of the last columns are target encodings."""

    def score(self, features: Floats) -> Floats:
        """How likely each of n rows is positive, float64[n]: higher is likelier, without a unit."""
        columns = features[:, self.used]
        with ONE_THREAD.limit(limits=1, user_api="openmp"):
            opinions = [model.decision_function(columns) for model in self.boosted]
        score: Floats = np.mean(opinions, axis=0)
        if self.forest:
            score += _OF_FOREST * np.log(self.forest.predict_proba(columns)[:, 1] + _FLOOR)
        if self.line:
            score += _OF_LINE * self.line.decision_function(features[:, -self.encodings :])
        return score


def fit_ensemble(
    features: Floats, positive: Bools, viewer: npt.NDArray[Any], encodings: int, seed: int
) -> Ensemble:
    """Trains on n rows.

    Args:
        features: float64[n, F], NaN allowed but in encodings.
        positive: bool[n].
        viewer: whose event each is, [n].
        encodings: how many of the last columns are target encodings.
        seed: the same gives the same model.
    """
    used = np.flatnonzero([_says_anything(column) for column in features.T])
    columns, weight = features[:, used], _viewer_weights(viewer)
    many = positive.sum() >= _MANY_POSITIVES
    boosted = []
    for i, size in enumerate((_SMALL, _SMALL, _LARGE, _LARGE) if many else (_SMALL,) * 4):
        rows = np.arange(len(positive))
        if size is _SMALL:
            # Drawn, not weighted: with weights scikit-learn takes a hundred times longer.
            rows = np.flatnonzero(np.random.default_rng((seed, i)).random(len(weight)) < weight)
        model = HistGradientBoostingClassifier(**_BOOSTED, **size, random_state=4 * seed + i)
        with ONE_THREAD.limit(limits=1, user_api="openmp"):
            boosted.append(model.fit(columns[rows], positive[rows]))
    forest, line = None, None
    if not many:
        forest = ExtraTreesClassifier(**_FOREST, random_state=seed).fit(columns, positive)
    if encodings:
        line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        line.fit(features[:, -encodings:], positive)
    return Ensemble(used, boosted, forest, line, encodings)


def thinned(positive: Bools, seed: int) -> npt.NDArray[np.int64]:
    """Rows to train on: all positives, and as many others as say something, in order."""
    others = np.flatnonzero(~positive)
    most = max(_NEGATIVES, _NEGATIVES_PER_POSITIVE * int(positive.sum()))
    if len(others) > most:
        others = np.random.default_rng(seed).choice(others, most, replace=False)
    return np.sort(np.append(np.flatnonzero(positive), others))


def _viewer_weights(viewer: npt.NDArray[Any]) -> Floats:
    _, which, events = np.unique(viewer, return_inverse=True, return_counts=True)
    weight: Floats = np.minimum(1, _MOST_OF_VIEWER / events)[which]
    return weight


def _says_anything(column: Floats) -> bool:
    # HistGradientBoosting raises on a column that is NaN throughout.
    known = column[~np.isnan(column)]
    return bool(len(known)) and bool((known != known[0]).any())
