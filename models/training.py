"""Trains a model on labelled views, and chooses from which score on a view is a bot's."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from models.features import NAMES, Matrix
from models.hashing import Keys
from models.registry import ONE_THREAD

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]

HUMAN = "human"
_TREES = 40
_LEAVES = 16
"""40 × 16 catches within 1 % of what 60 × 16 does, in two thirds of the time."""
_BLANKED = 0.1
_OPTIONAL = (
    ("interactions", "muted", "autoplay"),
    ("local_hour",),
    ("send_delay_s", "clock_skew_s"),
    ("device_share_10m", "device_new_10m"),
    ("ip_views_10m", "ip_views_24h"),
)
"""Features that a sender may leave out together."""


class Examples(NamedTuple):
    """n accepted views in log order and who made them; keys are uint64[n]."""

    kind: npt.NDArray[np.str_]
    """`human`, or a kind of bot."""
    platform: npt.NDArray[np.str_]
    viewer: Keys
    promoter: Keys
    """Of the day, as viewers are: two simulated days have nobody in common, names or not."""
    once: Keys
    """Viewer, post and UTC day: of views that share them one is paid."""
    rate_micros: npt.NDArray[np.int64]
    """What a view is paid."""
    log_time: npt.NDArray[np.int64]
    features: Matrix
    givt: npt.NDArray[np.uint32]
    """Bits of `Reason` by lists and impossible values."""
    policy: npt.NDArray[np.uint32]
    """Bits of `Reason` by the view policy."""

    @property
    def human(self) -> Bools:
        """Which views are people's, bool[n]."""
        return np.asarray(self.kind == HUMAN)

    @property
    def payable(self) -> Bools:
        """Which views would be paid if there were no model, bool[n]."""
        return np.asarray((self.givt == 0) & (self.policy == 0))

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
    """A classifier of bots among what lists do not find; about 2 µs per view on one core."""
    left = examples.where(examples.givt == 0)
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        max_leaf_nodes=_LEAVES,
        learning_rate=0.25,
        min_samples_leaf=100,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    with ONE_THREAD.limit(limits=1, user_api="openmp"):
        return model.fit(_some_blanked(left.features, seed), ~left.human)


def _some_blanked(features: Matrix, seed: int) -> Matrix:
    # In the simulator only scripts leave fields out; in the world whole integrations do, and
    # that must not make their viewers bots.
    rng = np.random.default_rng(seed)
    blanked = features.copy()
    for names in _OPTIONAL:
        rows = rng.random(len(features)) < _BLANKED
        for name in names:
            blanked[rows, NAMES.index(name)] = np.nan
    return blanked


def choose_threshold(score: Scores, examples: Examples, false_positive_rate: float) -> float:
    """The lowest threshold that flags at most this share of people's payable views.

    Raises:
        ValueError: there are no such views to choose it on, or no threshold does that.
    """
    people = np.sort(score[examples.payable & examples.human])
    if not len(people):
        raise ValueError("no payable views of people to choose a threshold on")
    flagged = int(len(people) * false_positive_rate)
    threshold = float(np.nextafter(people[len(people) - 1 - flagged], np.float32(2)))
    if threshold >= 1:
        raise ValueError(f"more than {false_positive_rate:.2%} of people's views have score 1")
    return threshold
