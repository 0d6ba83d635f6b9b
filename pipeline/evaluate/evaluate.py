"""What `viewledger models evaluate` does: reads, trains if asked to, scores, and counts."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from models.figures import figures
from models.lists import givt_reasons, load_lists
from models.protocol import Labelled, Mode, Which, first_of_each, fit, score
from models.ranking import RankingModel
from models.registry import Model
from pipeline.cli.problems import Problem
from pipeline.evaluate.read import File, read_file
from pipeline.evaluate.stream import stream_features

Floats = npt.NDArray[np.float64]

_NEAR = 1e-7
"""Probabilities are float32."""
_LISTED = 5.0
"""Log-odds of a bot where lists find a view: a rank near the top, since some people use a VPN in a
data centre. From 4 to 8 the figures are the same."""


class Asked(NamedTuple):
    """What to evaluate, and how."""

    model: Model | RankingModel | None
    """A trained model, or None to train one on `fit`."""
    fit: list[Path]
    data: Path
    adapter: str
    labels: list[Path]
    mode: Mode
    warm: list[Path]
    features: Which
    disjoint: bool
    cap: int | None
    seed: int


def evaluate_files(asked: Asked) -> dict[str, Any]:
    """The figures, with what they are of.

    Raises:
        Problem: a file is not what it should be, or nothing is left to count.
    """
    files: dict[Path, File] = {}

    def read(path: Path) -> File:
        if path not in files:
            files[path] = read_file(asked.adapter, path, asked.labels)
        return files[path]

    data = read(asked.data)
    earlier = _earlier([read(path) for path in asked.warm], data)
    streams = [file.events for file in earlier]
    trained = [read(path).events for path in asked.fit]
    if isinstance(asked.model, RankingModel):
        if asked.model.adapter != asked.adapter:
            raise Problem(f"{asked.model.version} ranks files of --adapter {asked.model.adapter}")
        scores = score(asked.model.fitted, data.events, streams)
    elif asked.model:
        scores = _by_model(asked.model, asked.adapter, data, earlier)
    else:
        _check_kinds("--fit", trained)
        fitted = fit(trained, asked.features, asked.mode, asked.seed)
        scores = score(fitted, data.events, streams)
    if asked.adapter == "view" and asked.features == "all":
        scores = _with_lists(scores, data)
    counts = _counting(asked, data.events, trained)
    events = data.events.rows(counts)
    try:
        found = figures(events.positive, scores[counts], events.columns["viewer"], asked.seed)
    except ValueError as error:
        raise Problem(
            f"{asked.data}: {error}: figures need both kinds; take more of the data"
        ) from None
    return found | {
        "events": data.events.n,
        "trained_on": sum(file.n for file in trained),
        "warmed_with": sum(stream.n for stream in streams),
        "model": asked.model.version if asked.model else None,
        "mode": asked.mode,
        "features": asked.features,
        "disjoint": asked.disjoint,
        "cap": asked.cap,
        "seed": asked.seed,
    }


def _check_kinds(option: str, files: list[Labelled]) -> None:
    positives, n = sum(int(file.positive.sum()) for file in files), sum(file.n for file in files)
    if positives in (0, n):
        raise Problem(
            f"{option}: {positives} of its {n} events are positive: training needs both kinds; "
            "take more of the data"
        )


def _earlier(warm: list[File], data: File) -> list[File]:
    """What of the files was seen before the first event of the data."""
    begin = data.batch.log_time[0]
    parts = [file.only(np.flatnonzero(file.batch.log_time <= begin)) for file in warm]
    parts = [part for part in parts if part.events.n]
    if warm and not parts:
        raise Problem(
            "--warm: nothing in it is earlier than the first event of --data; memory is built in "
            "time order, so leave it out or give an earlier file"
        )
    return parts


def _counting(asked: Asked, data: Labelled, trained: list[Labelled]) -> npt.NDArray[np.bool_]:
    """Which events of the data count, bool[n]; memory has seen all of them."""
    viewer = data.columns["viewer"]
    counts = np.ones(data.n, np.bool_)
    if asked.disjoint:
        counts &= ~np.isin(viewer, np.concatenate([file.columns["viewer"] for file in trained]))
        if not counts.any():
            raise Problem(
                f"--disjoint leaves nothing: every viewer of {asked.data} is in --fit as well; "
                "are they the same file?"
            )
    if asked.cap:
        counts &= first_of_each(viewer, asked.cap)
    return counts


def _with_lists(scores: Floats, data: File) -> Floats:
    """Log-odds by a model and by lists: the stream asks both, and lists first."""
    listed = givt_reasons(load_lists(), data.batch) != 0
    return np.where(listed, scores + _LISTED, scores)


def _by_model(model: Model, adapter: str, data: File, earlier: list[File]) -> Floats:
    files = sorted(earlier, key=lambda file: int(file.batch.log_time[0]))
    features = stream_features(file.batch for file in [*files, data])
    probability = model.predict(features[-1]).astype(np.float64)
    bot: Floats = np.asarray(logit(np.clip(probability, _NEAR, 1 - _NEAR)), np.float64)
    # Who installs the app looks least like a bot.
    return -bot if adapter == "talkingdata" else bot
