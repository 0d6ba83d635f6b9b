"""`models train --data`: files of views with labels in, a model that the stream loads out.

Split by time: nothing that is tested on is earlier than anything trained on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.calibration import Trained, finish
from models.drift import references
from models.evaluation import RANKING, evaluate
from models.features import NAMES
from models.figures import figures
from models.hashing import combine
from models.lists import givt_reasons, load_lists
from models.plots import save_plots
from models.registry import Card, raw_scores
from models.resampling import groups_of, share
from models.training import Examples, joined, train
from pipeline.cli.problems import Problem
from pipeline.evaluate.read import File, read_file
from pipeline.evaluate.stream import stream_features
from pipeline.replay.source import check_file
from pipeline.score.policy import days_of, qualify
from pipeline.train_wanted import Wanted, described, save, without
from sinks.catalogue_file import CatalogueError, read_campaigns

TRAINED, VALIDATED = 0.6, 0.8
"""Of the events in log order: trained on up to here, validated up to there, tested on the rest."""
SPLIT = (
    "By time: the first 60 % of the events were trained on, the next 20 % validated, the last "
    "20 % tested. *Unseen viewers* are those of the test part whom training has not seen."
)


def train_on_views(
    wanted: Wanted,
    data: list[Path],
    labels: list[Path],
    catalog: Path | None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Card:
    """Trains, tests and saves a model on files of views; returns its card.

    Args:
        wanted: what to make.
        data: files of views, one stream in the order of time.
        labels: who made the events, as `simulate --labels` says it.
        catalog: campaigns with their rates, views of others are left out; without one every
            view is worth the same.
        on_step: called with what is done next.

    Raises:
        Problem: a file is not what it should be.
        ValueError: there is too little to train, to calibrate or to choose a threshold on.
    """
    rates = None
    if catalog:
        check_file(catalog)
        try:
            rates = {one.campaign_id: one.rate_micros for one in read_campaigns(catalog)}
        except CatalogueError as error:
            raise Problem(str(error)) from None
    on_step("reading")
    files = [read_file("view", path, labels) for path in data]
    files.sort(key=lambda file: int(file.batch.log_time[0]))
    on_step("features")
    found = _examples(files, rates)
    training, validation, test = split(found)
    training = without(training, wanted.hold_out)
    on_step("training")
    estimator = train(training, wanted.seed)
    on_step("evaluating")
    known = without(validation, wanted.hold_out)
    raw = raw_scores(estimator, known.features)
    trained = finish(estimator, raw, known, wanted.false_positive_rate)
    score = trained.score(test.features)
    metrics = evaluate(test, score, trained.threshold, wanted.seed)
    parts = {"training": training, "validation": validation, "test": test}
    unseen = test.payable & ~np.isin(test.viewer, training.viewer)
    card = Card(
        **described(wanted, trained),
        data={
            "source": "view",
            "files": [path.name for path in data],
            "rates": rates is not None,
            "false_positive_rate": wanted.false_positive_rate,
            "split": SPLIT,
            "held_out": list(wanted.hold_out),
            **{
                name: {"views": len(part.kind), "positives": int((~part.human).sum())}
                for name, part in parts.items()
            },
        },
        metrics={
            "tests": metrics,
            "not_shown": {
                kind: _caught(found.where(found.payable & (found.kind == kind)), trained, wanted)
                for kind in wanted.hold_out
            },
            "unseen_viewers": _ranking(test.where(unseen), score[unseen], wanted.seed),
        },
        reference=references(NAMES, training.features, trained.score(training.features)),
    )
    save(card, trained, wanted.registry)
    save_plots(
        wanted.registry / wanted.name,
        test,
        score,
        trained.threshold,
        metrics["calibration"]["bins"],
    )
    return card


def split(examples: Examples) -> tuple[Examples, Examples, Examples]:
    """Views in log order, to train on, to validate with and to test on."""
    ends = np.quantile(examples.log_time, [TRAINED, VALIDATED], method="higher")
    part = np.searchsorted(ends, examples.log_time, side="right")
    first, second, third = (examples.where(part == i) for i in range(3))
    return first, second, third


def _caught(of_kind: Examples, trained: Trained, wanted: Wanted) -> dict[str, Any]:
    if not len(of_kind.kind):
        raise Problem("--hold-out: no payable views of that kind in --data")
    groups = groups_of(of_kind, wanted.seed)
    flagged = trained.score(of_kind.features) >= trained.threshold
    return share(flagged, of_kind.payable, groups.of, groups.times)


def _ranking(unseen: Examples, score: Any, seed: int) -> dict[str, Any] | None:
    bot = ~unseen.human
    if bot.all() or not bot.any():
        return None
    found = figures(bot, score.astype(np.float64), unseen.viewer, seed)
    return {"n": found["n"], **{name: found[name] for name in RANKING}}


def _examples(files: list[File], rates: dict[str, int] | None) -> Examples:
    # The stream refuses views of campaigns that nobody has: no feature knows of them.
    files = [file.only(np.flatnonzero(_rates(file.campaign_ids, rates))) for file in files]
    lists, parts = load_lists(), []
    for file, features in zip(files, stream_features(f.batch for f in files), strict=True):
        batch = file.batch
        parts.append(
            Examples(
                kind=file.made_by,
                platform=np.array(batch.platforms.to_pylist(), np.str_),
                viewer=batch.viewer,
                promoter=batch.promoter,
                once=combine(batch.viewer, batch.post, days_of(batch.viewed_at)),
                rate_micros=_rates(file.campaign_ids, rates),
                log_time=batch.log_time,
                features=features,
                givt=givt_reasons(lists, batch),
                policy=qualify(batch),
            )
        )
    whole = joined(parts)
    if not len(whole.kind):
        raise Problem("--catalog has none of the campaigns of --data")
    return whole.where(np.argsort(whole.log_time, kind="stable"))


def _rates(campaign_ids: list[str], rates: dict[str, int] | None) -> Any:
    """What views are paid, int64[n]; 0 those of campaigns that the catalogue does not have."""
    if rates is None:
        return np.ones(len(campaign_ids), np.int64)
    return np.array([rates.get(one, 0) for one in campaign_ids], np.int64)
