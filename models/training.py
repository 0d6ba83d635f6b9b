"""Labelled views, and how a model is trained on them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from models.features import FEATURES, NAMES, Matrix
from models.hashing import Keys
from models.registry import ONE_THREAD

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]

HUMAN = "human"
SETTINGS: dict[str, Any] = {
    "max_iter": 80,
    "max_leaf_nodes": 8,
    "learning_rate": 0.2,
    "min_samples_leaf": 100,
    "l2_regularization": 10.0,
}
REPETITION = ("sequence_views_6h", "viewer_watch_repeats")
"""Doing the same again never speaks for a person: scores may only rise with these."""
_BLANKED = 0.1
_OPTIONAL = (
    {"interactions", "muted", "autoplay"},
    {"local_hour"},
    {"send_delay_s", "clock_skew_s"},
    {"device", "user_agent"},
    {"ip", "prefix"},
)
"""What a sender may leave out together: names of features, or entities they are of."""
_PEOPLE_PER_BOT = 10
_LEAST_PEOPLE = 100_000
"""Where bots are rare, more people than this say nothing new; calibration sees all of them."""


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

    def where(self, which: Bools | npt.NDArray[np.int64]) -> "Examples":
        """Some of the views, by a mask or by their rows."""
        return Examples._make(column[which] for column in self)


def joined(parts: list[Examples]) -> Examples:
    """Several sets of views as one."""
    return Examples._make(np.concatenate(column) for column in zip(*parts, strict=True))


def split_by_time(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """The views of the first `share` of the time, and those after it."""
    begin, end = examples.log_time.min(), examples.log_time.max()
    early = examples.log_time < begin + (end - begin) * share
    return examples.where(early), examples.where(~early)


def train(examples: Examples, seed: int, **settings: Any) -> HistGradientBoostingClassifier:
    """A classifier of bots among what lists do not find.

    Args:
        examples: views of people and of bots.
        seed: the same gives the same model.
        settings: other ones than `SETTINGS`.

    Raises:
        ValueError: all views that lists let through are of people, or none.
    """
    left = examples.where(_chosen(examples, seed))
    if not 0 < left.human.sum() < len(left.human):
        raise ValueError("training needs views of people and of bots that lists let through")
    model = HistGradientBoostingClassifier(
        **(SETTINGS | settings),
        monotonic_cst=[int(name in REPETITION) for name in NAMES],
        early_stopping=False,
        random_state=seed,
    )
    _blank_some(left.features, seed)
    with ONE_THREAD.limit(limits=1, user_api="openmp"):
        return model.fit(left.features, ~left.human)


def _chosen(examples: Examples, seed: int) -> Bools:
    """Views that lists let through: all of bots, and of people as many as say something."""
    chosen = np.asarray(examples.givt == 0)
    people = np.flatnonzero(chosen & examples.human)
    most = max(_LEAST_PEOPLE, _PEOPLE_PER_BOT * int((chosen & ~examples.human).sum()))
    if len(people) > most:
        rng = np.random.default_rng(seed)
        chosen[rng.choice(people, len(people) - most, replace=False)] = False
    return chosen


def _blank_some(features: Matrix, seed: int) -> None:
    # In the simulator only scripts leave fields out; in the world whole integrations do, and
    # that must not make their viewers bots.
    rng = np.random.default_rng(seed)
    for places in _left_out_together():
        rows = np.flatnonzero(rng.random(len(features)) < _BLANKED)
        features[np.ix_(rows, places)] = np.nan
    # scikit-learn raises on columns without a value; one value says as little.
    features[:, np.isnan(features).all(axis=0)] = 0


def _left_out_together() -> Iterator[npt.NDArray[np.int64]]:
    for words in _OPTIONAL:
        named = [{one.name, *one.entity.split(), *one.aggregate.split()} for one in FEATURES]
        yield np.flatnonzero([bool(words & names) for names in named])
