"""Trains a model on labelled views and says how good it is, bad figures included."""

import platform
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sklearn
import skops
from sklearn.ensemble import HistGradientBoostingClassifier

from models.features import Matrix

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]

HUMAN = "human"
_TREES = 60
_LEAVES = 16


class Examples(NamedTuple):
    """n accepted views in log order and who made them."""

    kind: npt.NDArray[np.str_]
    """`human`, or a kind of bot."""
    log_time: npt.NDArray[np.int64]
    features: Matrix
    givt: npt.NDArray[np.uint32]
    """Bits of `Reason` by lists and impossible values."""
    policy: npt.NDArray[np.uint32]
    """Bits of `Reason` by the view policy."""

    def where(self, mask: Bools) -> "Examples":
        """Some of the views."""
        return Examples._make(column[mask] for column in self)


def joined(parts: list[Examples]) -> Examples:
    """Several sets of views as one."""
    return Examples._make(np.concatenate(column) for column in zip(*parts, strict=True))


def split_by_time(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """The views of the first `share` of the time, and those after it."""
    begin, end = examples.log_time.min(), examples.log_time.max()
    early = examples.log_time < begin + (end - begin) * share
    return examples.where(early), examples.where(~early)


def train(examples: Examples, seed: int) -> HistGradientBoostingClassifier:
    """A classifier of bots, small enough for 2 µs per view."""
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        max_leaf_nodes=_LEAVES,
        learning_rate=0.2,
        min_samples_leaf=100,
        l2_regularization=1.0,
        random_state=seed,
    )
    return model.fit(examples.features, examples.kind != HUMAN)


def choose_threshold(score: Scores, examples: Examples, false_positive_rate: float) -> float:
    """The lowest score at which at most this share of people's payable views is flagged.

    Payable views are those that lists and policy leave: only there the model decides.
    """
    people = np.sort(score[payable(examples) & (examples.kind == HUMAN)])
    if not len(people):
        raise ValueError("no payable views of people to choose a threshold on")
    allowed = int(len(people) * false_positive_rate)
    highest_kept = float(people[len(people) - 1 - allowed])
    return float(np.clip(np.nextafter(np.float32(highest_kept), np.float32(1)), 1e-6, 1 - 1e-6))


def payable(examples: Examples) -> Bools:
    """Which views would be paid if there were no model, bool[n]."""
    free: Bools = (examples.givt == 0) & (examples.policy == 0)
    return free


def libraries() -> dict[str, str]:
    """What a model was made with."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "skops": skops.__version__,
    }
