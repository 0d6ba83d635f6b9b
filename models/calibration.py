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
) -> Trained:
    """Calibrates on payable validation views, and chooses the threshold.

    Args:
        estimator: of `train`.
        raw: its raw scores of the validation views, float64[n].
        validation: n views that it was not trained on.
        false_positive_rate: see `choose_threshold`.

    Raises:
        ValueError: as `calibrate` and `choose_threshold`.
    """
    payable = validation.payable
    calibration = calibrate(raw[payable], ~validation.human[payable])
    score = probability(raw, calibration)
    return Trained(estimator, calibration, choose_threshold(score, validation, false_positive_rate))


def choose_threshold(score: Scores, examples: Examples, false_positive_rate: float) -> float:
    """The lowest threshold that flags at most this share of people's payable views.

    Raises:
        ValueError: there are no such views to choose it on, or no threshold does that.
    """
    return threshold_of(score[examples.payable & examples.human], false_positive_rate)


def threshold_of(others: Scores, false_positive_rate: float) -> float:
    """The lowest threshold that flags at most this share of those who should pass.

    Raises:
        ValueError: there is nobody, or no threshold does that.
    """
    if not len(others):
        raise ValueError("no payable views of people to choose a threshold on")
    people = np.sort(others)
    flagged = int(len(people) * false_positive_rate)
    threshold = float(np.nextafter(people[len(people) - 1 - flagged], np.float32(2)))
    if threshold >= 1:
        raise ValueError(f"more than {false_positive_rate:.2%} of people's views have score 1")
    return threshold
