"""Why a view got its verdict: reasons, score and what made it up, by the values of that moment."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from models.attribution import attribute
from models.features import FEATURES
from models.panel import load_named, model_names
from models.registry import Model, ModelError
from schemas.verdicts import Reason
from sinks.explain import JudgedView

_TEXTS = {
    "below_min_watch": "watched for less time than the view policy asks of the platform",
    "below_min_visible": "less of the player was visible than the view policy asks",
    "repeat_view": "the viewer had a paid view of the post on this day",
    "declared_bot": "the user agent is that of a declared crawler or tool",
    "datacenter_address": "the address is in a data centre",
    "impossible_values": "a person cannot have sent these values",
    "tor_address": "the address is an exit of Tor, which anybody may share",
    "operator_denied": "the operator's deny list names it",
    "model_score": "the score is at or above the model's threshold",
    "model_unavailable": "no model could be loaded",
    "velocity_unavailable": "the shared counters in Redis did not answer",
    "lists_unavailable": "no lists could be loaded",
}
_KINDS = {
    "policy": "view policy",
    "givt": "general invalid traffic",
    "sivt": "sophisticated invalid traffic",
    "unavailable": "not available",
}
_DESCRIPTIONS = {feature.name: feature.description for feature in FEATURES}


class Why(msgspec.Struct, frozen=True):
    """A reason that speaks against the view."""

    reason: str
    kind: str
    text: str


class Part(msgspec.Struct, frozen=True):
    """A feature of the view."""

    feature: str
    description: str
    value: float | None
    """None where it was not known."""
    contribution: float
    """To the raw score; above zero speaks for a bot."""


class Opinion(msgspec.Struct, frozen=True):
    """What a shadow said."""

    version: str
    score: float
    threshold: float
    bot: bool


class Explanation(msgspec.Struct, frozen=True):
    """All that made up a verdict."""

    view: JudgedView
    why: list[Why]
    threshold: float | None
    """None where the model is not in the registry any more."""
    raw_score: float | None
    """Log-odds of a bot: `base` and all contributions. None as before, or without features."""
    base: float | None
    parts: list[Part]
    """The heaviest first."""
    shadows: list[Opinion]
    problem: str
    """Why there is less here than there could be; empty where all is."""


def reason_text(reason: Reason) -> str:
    """What a reason means, for whoever has to explain it."""
    return _TEXTS[reason.name.lower()]


def explain(view: JudgedView, folder: Path | None) -> Explanation:
    """Explains the verdict on a view by the model that judged it.

    Args:
        folder: where models are looked for before those of the package.
    """
    why = [
        Why(reason.name.lower(), _KINDS[reason.kind], reason_text(reason))
        for reason in Reason
        if view.reasons & reason.bit
    ]
    shadows = [
        Opinion(version, score, threshold, bool(np.float32(score) >= np.float32(threshold)))
        for version, score, threshold in zip(
            view.shadows, view.shadow_scores, view.shadow_thresholds, strict=False
        )
    ]
    model, problem = _judged_by(view, partial(load_named, folder=folder), model_names(folder))
    base, raw, parts = None, None, []
    if model is not None and not problem:
        row = np.array(view.features, np.float32)
        base, given = attribute(model.estimator, row, model.card.calibration)
        raw = base + float(given.sum())
        parts = [
            Part(
                feature=name,
                description=_DESCRIPTIONS.get(name, ""),
                value=None if np.isnan(value) else value,
                contribution=float(one),
            )
            for name, value, one in zip(model.card.features, view.features, given, strict=True)
        ]
        parts.sort(key=lambda part: -abs(part.contribution))
        problem = _differs(view, model, raw)
    return Explanation(
        view=view,
        why=why,
        threshold=None if model is None else model.threshold,
        raw_score=raw,
        base=base,
        parts=parts,
        shadows=shadows,
        problem=problem,
    )


def _judged_by(
    view: JudgedView, load: Callable[[str], Model], names: list[str]
) -> tuple[Model | None, str]:
    """The model that judged, and why its score cannot be taken apart."""
    for name in names:
        try:
            model = load(name)
        except ModelError:
            continue
        if model.version != view.model_version:
            continue
        if not view.features:
            return model, (
                "the values it was judged by are not there: older than 90 days, from before they "
                "were kept, or of an erased viewer"
            )
        if (view.features_digest or model.card.features_digest) != model.card.features_digest:
            return model, f"model {model.version} is by other features now"
        if len(view.features) != len(model.card.features):
            return model, f"model {model.version} has other features than the view"
        return model, ""
    return None, (
        f"model {view.model_version} cannot be loaded here: put it into VIEWLEDGER_MODELS to see "
        "what made up its score"
    )


def _differs(view: JudgedView, model: Model, raw: float) -> str:
    if view.score is None:
        return "the model was not asked; this is what it would have said"
    again = 1 / (1 + math.exp(-raw))
    if not math.isclose(again, view.score, rel_tol=1e-4, abs_tol=1e-6):
        return (
            f"the file of model {model.version} is another one now: it gives {again:.4f}, the "
            f"view was judged with {view.score:.4f}"
        )
    flagged = bool(view.reasons & Reason.MODEL_SCORE.bit)
    if bool(np.float32(view.score) >= np.float32(model.threshold)) != flagged:
        return f"the card of model {model.version} has another threshold now"
    return ""
