"""`models train`: simulated days in, a model with its card and plots out."""

from collections.abc import Callable, Iterator

import numpy as np

from models.drift import references
from models.evaluation import evaluate, people_flagged
from models.features import NAMES
from models.plots import save_plots
from models.registry import Card, probability, raw_scores
from models.training import Examples, joined, split_by_time
from pipeline.train_held_out import ALL, Day, finished, held_out, one_day, train_all
from pipeline.train_wanted import Wanted, described, save, without
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
    wanted: Wanted,
    events: int,
    hold_out_each: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Card:
    """Trains on simulated days, tests on others, and saves a model; returns its card.

    Args:
        wanted: training days have seeds from `wanted.seed` on, test days from 1,000 further on.
        events: lines of an ordinary simulated day.
        hold_out_each: also train a smaller model without each kind, and say what it finds of it.
        on_progress: called with the number of events simulated since the last call.
        on_step: called with what is done next.

    Raises:
        ValueError: there is too little to train, to calibrate or to choose a threshold on.
    """
    seed, hold_out = wanted.seed, wanted.hold_out

    def days(sizes: tuple[float, ...], first: int) -> Iterator[Examples]:
        for i, size in enumerate(sizes):
            on_step(f"simulating {'training' if first == seed else 'other'} days")
            yield simulated(int(events * size), first + i, on_progress)

    halves = [split_by_time(day, _EARLY) for day in days(_TRAINING, seed)]
    training = without(joined([early for early, _ in halves]), hold_out)
    later = joined([late for _, late in halves])
    del halves
    estimators = train_all(training, seed, hold_out_each, on_step)

    def scored(day: Examples) -> Day:
        raw = {name: raw_scores(one, day.features) for name, one in estimators.items()}
        return Day(day._replace(features=np.empty((len(day.kind), 0))), raw)

    validated = [scored(day) for day in days(_VALIDATION, seed + len(_TRAINING))]
    tested = [scored(day) for day in days(_TESTS, seed + _TEST_SEEDS)]
    on_step("evaluating")
    validation, test = one_day(validated), one_day(tested)
    trained = finished(estimators[ALL], ALL, validation, wanted, hold_out)
    score = probability(test.raw[ALL], trained.calibration)
    figures = evaluate(test.examples, score, trained.threshold, seed)
    card = Card(
        **described(wanted, trained),
        data={
            "source": "simulator",
            "events_of_ordinary_day": events,
            "false_positive_rate": wanted.false_positive_rate,
            "split": _SPLIT,
            "held_out": list(hold_out),
            **{
                part: {"seeds": list(range(first, first + n)), "views": views}
                for part, first, n, views in (
                    ("training", seed, len(_TRAINING), len(training.kind)),
                    ("later", seed, len(_TRAINING), len(later.kind)),
                    (
                        "validation",
                        seed + len(_TRAINING),
                        len(_VALIDATION),
                        len(validation.examples.kind),
                    ),
                    ("test", seed + _TEST_SEEDS, len(_TESTS), len(test.examples.kind)),
                )
            },
        },
        metrics={
            "tests": figures,
            "people_flagged": {
                "later": people_flagged(later, trained.score(later.features), trained.threshold),
                "test_days": [
                    people_flagged(
                        day.examples,
                        probability(day.raw[ALL], trained.calibration),
                        trained.threshold,
                    )
                    for day in tested
                ],
            },
            **(
                {"held_out": held_out(estimators, validation, test, wanted)}
                if hold_out_each
                else {}
            ),
        },
        reference=references(NAMES, training.features, trained.score(training.features)),
    )
    save(card, trained, wanted.registry)
    save_plots(
        wanted.registry / wanted.name,
        test.examples,
        score,
        trained.threshold,
        figures["calibration"]["bins"],
    )
    return card
