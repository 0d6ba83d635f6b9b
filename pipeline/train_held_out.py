"""What is found of a kind of bot by a model that was never shown it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from models.calibration import Floats, Trained, choose_threshold, finish
from models.registry import probability, raw_scores
from models.resampling import groups_of, share
from models.training import HUMAN, Examples, joined, train
from pipeline.train_wanted import Wanted, without

_OF_EACH = 4
"""Models that were not shown a kind are trained on one view of so many."""
ALL = "all"
"""The model that is saved; the others have the name of the kind that they were not shown."""
_SMALL = "small"
"""Shown all kinds, on as few views as those that were not shown one."""


class Scored(NamedTuple):
    """Views that models were asked about."""

    examples: Examples
    """Without features: of all days they would not fit."""
    raw: dict[str, Floats]
    """Raw scores by model."""
    weight: Floats
    """Of each in the rate of false positives."""


def train_all(
    training: Examples, seed: int, hold_out_each: bool, on_step: Callable[[str], None]
) -> dict[str, Any]:
    """Models by name: the one that is saved, and those that were not shown a kind."""
    on_step("training")
    estimators = {ALL: train(training, seed)}
    if hold_out_each:
        some = training.where(np.arange(len(training.kind)) % _OF_EACH == 0)
        estimators[_SMALL] = train(some, seed)
        for kind in _kinds(training):
            on_step(f"training without {kind.replace('_', ' ')}")
            estimators[kind] = train(without(some, (kind,)), seed)
    return estimators


def _kinds(examples: Examples) -> list[str]:
    """Kinds of bots that lists let through."""
    return [str(kind) for kind in np.unique(examples.kind[examples.payable]) if kind != HUMAN]


def score_day(estimators: dict[str, Any], day: Examples, weight: float = 1.0) -> Scored:
    """What all models say of a day.

    Args:
        estimators: by name.
        day: its views.
        weight: of the day in the rate of false positives.
    """
    raw = {name: raw_scores(one, day.features) for name, one in estimators.items()}
    n = len(day.kind)
    people = int((day.payable & day.human).sum())
    weights = np.full(n, weight / max(people, 1))
    return Scored(day._replace(features=np.empty((n, 0))), raw, weights)


def together(days: list[Scored]) -> Scored:
    """Several days as one."""
    raw = {name: np.concatenate([day.raw[name] for day in days]) for name in days[0].raw}
    weight = np.concatenate([day.weight for day in days])
    return Scored(joined([day.examples for day in days]), raw, weight)


def finished(
    estimator: Any, name: str, validation: Scored, wanted: Wanted, unseen: tuple[str, ...]
) -> Trained:
    """Calibrates a model by its raw scores of validation views of the kinds that it was shown."""
    known = ~np.isin(validation.examples.kind, unseen)
    return finish(
        estimator,
        validation.raw[name][known],
        validation.examples.where(known),
        wanted.false_positive_rate,
        validation.weight[known],
    )


def held_out(
    estimators: dict[str, Any], validation: Scored, test: Scored, wanted: Wanted
) -> dict[str, Any]:
    """What is caught of each kind by the small model that was not shown it, and by the one that
    was, at the threshold of either."""
    groups = groups_of(test.examples, wanted.seed)

    def caught(name: str, kind: str) -> dict[str, Any]:
        unseen = (*wanted.hold_out, *([] if name == _SMALL else [kind]))
        trained = finished(estimators[name], name, validation, wanted, unseen)
        score = probability(test.raw[name], trained.calibration)
        these = test.examples.payable & (test.examples.kind == kind)
        at_1pct = choose_threshold(
            probability(validation.raw[name], trained.calibration),
            validation.examples,
            0.01,
            validation.weight,
        )
        return {
            "caught": share(score >= trained.threshold, these, groups.of, groups.times),
            "at_1pct": share(score >= at_1pct, these, groups.of, groups.times),
        }

    # Lists let crawlers through on days without user agents only; these are not in the test.
    tested = set(_kinds(test.examples))
    kinds = [name for name in estimators if name in tested]
    return {kind: {"seen": caught(_SMALL, kind), "held_out": caught(kind, kind)} for kind in kinds}
