"""`models train --data` of clicks and edits: a model for `models evaluate` and for nobody's money.

Why the stream cannot have it: its encodings are of campaigns and promoters with labels, half of
the stream's columns (watch time, address, device) are not in such files, and what is positive in
them (an installed app, a robot's edit) is not what a scorer calls invalid.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from models.calibration import calibrate, threshold_of
from models.card import card_text
from models.evaluation import RANKING, calibration
from models.figures import figures
from models.plots import save_curves
from models.protocol import Fitted, Labelled, features_of, fit, joined, score
from models.ranking import ranking_digest, save_ranking_model
from models.registry import Card, probability
from models.resampling import grouped
from models.training import Bools, Scores
from pipeline.evaluate.read import read_file
from pipeline.train_files import SPLIT, TRAINED, VALIDATED
from pipeline.train_wanted import Wanted, libraries


def train_ranking(
    wanted: Wanted,
    adapter: str,
    data: list[Path],
    on_step: Callable[[str], None] = lambda step: None,
) -> Card:
    """Trains, tests and saves a model on files of clicks or edits; returns its card.

    Args:
        wanted: what to make; nothing is held out.
        adapter: of the files.
        data: files, one stream in the order of time.
        on_step: called with what is done next.

    Raises:
        Problem: a file is not what it should be.
        ValueError: one of the parts has events of one kind only.
    """
    on_step("reading")
    training, validation, test = _parts([read_file(adapter, path, []).events for path in data])
    on_step("training")
    fitted = fit([training], "all", "online", wanted.seed)
    on_step("evaluating")
    raw = score(fitted, validation, [training])
    line = calibrate(raw, validation.positive)
    threshold = threshold_of(
        probability(raw, line)[~validation.positive], wanted.false_positive_rate
    )
    found = probability(score(fitted, test, [training, validation]), line)
    metrics = _tested(test, found, wanted.seed)
    unseen = ~np.isin(test.columns["viewer"], training.columns["viewer"])
    parts = {"training": training, "validation": validation, "test": test}
    card = Card(
        name=wanted.name,
        version=wanted.version,
        features_digest=ranking_digest(adapter),
        features=_names(fitted, training),
        threshold=threshold,
        calibration=line,
        libraries=libraries(),
        data={
            "source": adapter,
            "files": [path.name for path in data],
            "false_positive_rate": wanted.false_positive_rate,
            "split": SPLIT,
            **{
                name: {"views": part.n, "positives": int(part.positive.sum())}
                for name, part in parts.items()
            },
        },
        metrics={
            "tests": metrics,
            "unseen_viewers": _unseen(test.rows(unseen), found[unseen], wanted.seed),
        },
    )
    folder = wanted.registry / wanted.name
    save_ranking_model(folder, fitted, card, card_text(card))
    save_curves(folder, test.positive, found, metrics["calibration"]["bins"])
    return card


def _parts(files: list[Labelled]) -> list[Labelled]:
    everything = joined(sorted(files, key=lambda file: int(file.columns["seen"][0])))
    everything = everything.rows(np.argsort(everything.columns["seen"], kind="stable"))
    n = everything.n
    ends = [0, int(n * TRAINED), int(n * VALIDATED), n]
    parts = [everything.rows(slice(*two)) for two in pairwise(ends)]
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        positives = int(part.positive.sum())
        if positives in (0, part.n):
            raise ValueError(f"{positives} of {part.n} events of the {name} part are positive")
    return parts


def _tested(test: Labelled, found: Scores, seed: int) -> dict[str, Any]:
    groups = grouped("viewers", test.columns["viewer"], seed)
    return {
        "views": test.n,
        "drawn": {"whole": groups.whole, "groups": groups.times.shape[1]},
        **_ranked(test.positive, found, groups.of, seed),
        "calibration": calibration(test.positive, found, groups.of, groups.times),
    }


def _unseen(test: Labelled, found: Scores, seed: int) -> dict[str, Any] | None:
    if test.positive.all() or not test.positive.any():
        return None
    ranked = _ranked(test.positive, found, test.columns["viewer"], seed)
    return {"n": test.n, "positives": int(test.positive.sum()), **ranked}


def _ranked(positive: Bools, found: Scores, viewer: Any, seed: int) -> dict[str, Any]:
    ranked = figures(positive, found.astype(np.float64), viewer, seed)
    return {name: ranked[name] for name in RANKING}


def _names(fitted: Fitted, data: Labelled) -> list[str]:
    names = [one.name for one in features_of(fitted.which)] + list(data.attributes)
    names += fitted.encodings.names if fitted.encodings else ()
    return [names[i] for i in fitted.ensemble.used]
