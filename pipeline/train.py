"""`models train`: simulated days in, a model with its card and plots out."""

from collections.abc import Callable, Iterator

from models.drift import references
from models.evaluation import evaluate, in_short, people_flagged
from models.features import NAMES
from models.plots import save_plots
from models.registry import Card, probability
from models.training import Examples, Scores, joined, split_by_time
from pipeline.train_held_out import (
    ALL,
    Scored,
    finished,
    held_out,
    score_day,
    together,
    train_all,
)
from pipeline.train_wanted import Wanted, described, save, without
from pipeline.training_data import simulated
from pipeline.training_days import ORDINARY, Sort, all_days, days_of, weight_of

_EARLY = 0.7
_SPLIT = (
    "Trained on the first 70 % of the time of the training days; what came after it is the part "
    "*later*. Validated and tested on whole days of other seeds, with other people, promoters, "
    "posts and bots. The figures are of the ordinary test days, if they do not say otherwise."
)


def volume(events: int) -> int:
    """How many events `train_model` simulates in all."""
    return sum(day.lines for day in all_days(events, 0))


def train_model(
    wanted: Wanted,
    events: int,
    hold_out_each: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Card:
    """Trains on simulated days, tests on others, and saves a model; returns its card.

    Args:
        wanted: what to make.
        events: lines of an ordinary simulated day; see `pipeline.training_days`.
        hold_out_each: also train a smaller model without each kind, and say what it finds of it.
        on_progress: called with the number of events simulated since the last call.
        on_step: called with what is done next.

    Raises:
        ValueError: there is too little to train, to calibrate or to choose a threshold on.
    """
    seed, hold_out = wanted.seed, wanted.hold_out

    def days(part: str) -> Iterator[tuple[Sort, Examples]]:
        for day in days_of(part, events, seed):
            on_step(f"simulating {part} days")
            yield day.sort, simulated(day.lines, day.seed, on_progress, day.sort.vary)

    halves = [split_by_time(day, _EARLY) for _, day in days("training")]
    training = without(joined([early for early, _ in halves]), hold_out)
    later = joined([late for _, late in halves])
    del halves
    estimators = train_all(training, seed, hold_out_each, on_step)
    validated = [score_day(estimators, day, weight_of(sort)) for sort, day in days("validation")]
    tested = [(sort, score_day(estimators, day)) for sort, day in days("test")]
    on_step("evaluating")
    validation = together(validated)
    ordinary = [day for sort, day in tested if sort.name == ORDINARY]
    test = together(ordinary)
    trained = finished(estimators[ALL], ALL, validation, wanted, hold_out)

    def score(day: Scored) -> Scores:
        return probability(day.raw[ALL], trained.calibration)

    figures = evaluate(test.examples, score(test), trained.threshold, seed)
    views = {
        "training": len(training.kind),
        "later": len(later.kind),
        "validation": len(validation.examples.kind),
        "test": sum(len(day.examples.kind) for _, day in tested),
    }
    metrics = {
        "tests": figures,
        "by_sort": {
            sort.name: {
                "description": sort.description,
                **in_short(these.examples, score(these), trained.threshold, seed),
            }
            for sort, these in _by_sort(tested)
        },
        "people_flagged": {
            "later": people_flagged(later, trained.score(later.features), trained.threshold),
            "test_days": [
                people_flagged(day.examples, score(day), trained.threshold) for day in ordinary
            ],
        },
    }
    if hold_out_each:
        metrics["held_out"] = held_out(estimators, validation, test, wanted)
    card = Card(
        **described(wanted, trained),
        data={
            "source": "simulator",
            "events_of_ordinary_day": events,
            "false_positive_rate": wanted.false_positive_rate,
            "split": _SPLIT,
            "held_out": list(hold_out),
            **{part: {"seeds": _seeds(part, seed), "views": n} for part, n in views.items()},
        },
        metrics=metrics,
        reference=references(NAMES, training.features, trained.score(training.features)),
    )
    save(card, trained, wanted.registry)
    save_plots(
        wanted.registry / wanted.name,
        test.examples,
        score(test),
        trained.threshold,
        figures["calibration"]["bins"],
    )
    return card


def _seeds(part: str, seed: int) -> list[int]:
    """The first and the last one."""
    seeds = [day.seed for day in days_of("training" if part == "later" else part, 0, seed)]
    return [seeds[0], seeds[-1]]


def _by_sort(tested: list[tuple[Sort, Scored]]) -> Iterator[tuple[Sort, Scored]]:
    for name in dict.fromkeys(sort.name for sort, _ in tested):
        these = [(sort, day) for sort, day in tested if sort.name == name]
        yield these[0][0], together([day for _, day in these])
