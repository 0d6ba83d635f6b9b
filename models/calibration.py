"""Makes scores probabilities, and chooses from which one on a view is a bot's."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from models.features import Matrix
from models.registry import Calibration, predict, probability
from models.training import Bools, Examples, Scores

Floats = npt.NDArray[np.float64]


class Trained(NamedTuple):
    """A model that is ready to be saved."""

    estimator: HistGradientBoostingClassifier
    calibration: Calibration
    threshold: float

    def score(self, features: Matrix) -> Scores:
        """The probability that each of n views is a bot's, float32[n]."""
        return predict(self.estimator, features, self.calibration)


def calibrate(raw: Floats, bot: Bools) -> Calibration:
    """What makes raw scores the probability of a bot (Platt scaling), every view weighing the same.

    Args:
        raw: float64[n], log-odds before calibration.
        bot: bool[n], of views that the model was not trained on.

    Raises:
        ValueError: there is one kind only, or bots do not score higher than others.
    """
    if bot.all() or not bot.any():
        raise ValueError("no payable views of both people and bots to calibrate on")
    line = LogisticRegression(C=1e3).fit(raw[:, None], bot)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    if slope <= 0:
        raise ValueError("bots do not score higher than people on views held back for validation")
    return slope, intercept


def finish(
    estimator: HistGradientBoostingClassifier,
    raw: Floats,
    validation: Examples,
    false_positive_rate: float,
    weight: Floats | None = None,
) -> Trained:
    """Calibrates on payable validation views, and chooses the threshold.

    Args:
        estimator: of `train`.
        raw: its raw scores of the validation views, float64[n].
        validation: n views that it was not trained on.
        false_positive_rate: see `threshold_of`.
        weight: of the views in the false-positive rate, float64[n]; None is the same of all.

    Raises:
        ValueError: as `calibrate` and `threshold_of`.
    """
    payable = validation.payable
    calibration = calibrate(raw[payable], ~validation.human[payable])
    score = probability(raw, calibration)
    threshold = choose_threshold(score, validation, false_positive_rate, weight)
    return Trained(estimator, calibration, threshold)


def choose_threshold(
    score: Scores,
    examples: Examples,
    false_positive_rate: float,
    weight: Floats | None = None,
) -> float:
    """The lowest threshold that flags at most this share of people's payable views; see
    `threshold_of`."""
    people = examples.payable & examples.human
    weights = None if weight is None else weight[people]
    return threshold_of(score[people], false_positive_rate, weights)


def threshold_of(others: Scores, false_positive_rate: float, weight: Floats | None = None) -> float:
    """The lowest threshold that flags at most this share of those who should pass.

    Args:
        others: scores of those, float32[n].
        false_positive_rate: the share.
        weight: of each in the share, float64[n]; None is the same of all.

    Raises:
        ValueError: there is nobody, or no threshold does that.
    """
    if not len(others):
        raise ValueError("no payable views of people to choose a threshold on")
    order = np.argsort(others)[::-1]
    weights = np.ones(len(others)) if weight is None else weight[order]
    above = np.cumsum(weights)
    flagged = int(np.searchsorted(above, false_positive_rate * above[-1], side="right"))
    threshold = float(np.nextafter(others[order[flagged]], np.float32(2)))
    if threshold >= 1:
        raise ValueError(f"more than {false_positive_rate:.2%} of people's views have score 1")
    return threshold
