"""`model train`: simulated days in, a model with its card out."""

import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import skops

from models.card import card_text
from models.drift import references
from models.evaluation import evaluate, people_flagged
from models.features import NAMES, features_digest
from models.registry import Card, predict, save_model
from models.training import Examples, Scores, choose_threshold, joined, split_by_time, train
from pipeline.training_data import simulated

_VOLUMES = (3.0, 1.0, 0.5, 0.25)
_TRAINING, _VALIDATION, _TESTS = 3 * _VOLUMES, 2 * _VOLUMES, 2 * _VOLUMES
"""Many days of different volume: what is usual differs more between days than within one."""
_TEST_SEEDS = 1000
_EARLY = 0.7
_SPLIT = (
    "Trained on the first 70 % of the time of the training days; what came after it is the part "
    "*later*. Validated and tested on whole days of other seeds, with other people, promoters, "
    "posts and bots."
)


def volume(events: int) -> int:
    """How many events `train_model` simulates in all."""
    return sum(int(events * size) for size in _TRAINING + _VALIDATION + _TESTS)


def train_model(
    name: str,
    version: str,
    seed: int,
    events: int,
    false_positive_rate: float,
    registry: Path,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Card:
    """Trains, tests and saves a model; returns its card.

    Args:
        name: folder in the registry.
        version: what verdicts call the model.
        seed: the days have seeds from here on, the test days from 1,000 further on.
        events: lines of an ordinary simulated day.
        false_positive_rate: share of people's payable validation views that may be flagged.
        registry: folder of models.
        on_progress: called with the number of events simulated since the last call.
    """

    def days(sizes: tuple[float, ...], first: int) -> tuple[list[Examples], list[int]]:
        seeds = [first + i for i in range(len(sizes))]
        parts = [
            simulated(int(events * size), day, on_progress)
            for size, day in zip(sizes, seeds, strict=True)
        ]
        return parts, seeds

    trained, training_seeds = days(_TRAINING, seed)
    halves = [split_by_time(day, _EARLY) for day in trained]
    training = joined([early for early, _ in halves])
    others, validation_seeds = days(_VALIDATION, seed + len(_TRAINING))
    later, validation = joined([late for _, late in halves]), joined(others)
    estimator = train(training, seed)

    def score(examples: Examples) -> Scores:
        return predict(estimator, examples.features)

    threshold = choose_threshold(score(validation), validation, false_positive_rate)
    tested, test_seeds = days(_TESTS, seed + _TEST_SEEDS)
    test = joined(tested)
    card = Card(
        name=name,
        version=version,
        features_digest=features_digest(),
        features=list(NAMES),
        threshold=threshold,
        libraries={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "skops": skops.__version__,
        },
        data={
            "events_of_ordinary_day": events,
            "false_positive_rate": false_positive_rate,
            "split": _SPLIT,
            "training": {"seeds": training_seeds, "views": len(training.kind)},
            "later": {"seeds": training_seeds, "views": len(later.kind)},
            "validation": {
                "seeds": validation_seeds,
                "views": len(validation.kind),
            },
            "test": {"seeds": test_seeds, "views": len(test.kind)},
        },
        metrics={
            "later": evaluate(later, score(later), threshold, seed),
            "validation": evaluate(validation, score(validation), threshold, seed),
            "tests": evaluate(test, score(test), threshold, seed),
            "people_flagged_by_test_day": [
                people_flagged(day, score(day), threshold) for day in tested
            ],
        },
        reference=references(NAMES, training.features, score(training)),
    )
    save_model(registry / name, estimator, card, card_text(card))
    return card
