from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.registry import save_small

from models.features import NAMES, features_digest
from models.registry import load_model
from pipeline.explain import explain, reason_text
from schemas.verdicts import Reason
from sinks.explain import JudgedView

CHAMPION = load_model("champion")


def judged(values: Any, **changes: Any) -> JudgedView:
    """A view as the champion judged it."""
    row = np.array(values, np.float32)
    score = float(CHAMPION.predict(row.reshape(1, -1))[0])
    fields: dict[str, Any] = {
        "event_id": "event-1",
        "partition": 0,
        "raw_offset": 1,
        "scored_offset": 2,
        "log_time": datetime(2026, 11, 1, tzinfo=UTC),
        "campaign_id": "c-1",
        "promoter_id": "p-1",
        "verdict": "invalid",
        "reasons": Reason.MODEL_SCORE.bit * (score >= CHAMPION.threshold),
        "score": score,
        "model_version": CHAMPION.version,
        "policy_version": "1",
        "lists_version": "l",
        "features": row.tolist(),
        "shadow_scores": [],
        "features_digest": features_digest(),
    }
    return JudgedView(**fields | changes)


SOME = np.linspace(0, 50, len(NAMES))
values = st.one_of(st.just(np.nan), st.floats(0, 1000, width=32))


@given(st.lists(values, min_size=len(NAMES), max_size=len(NAMES)))
@settings(max_examples=20, deadline=None)
def test_what_every_feature_adds_makes_up_the_score(features: list[float]) -> None:
    view = judged(features)
    found = explain(view, None)
    assert found.problem == ""
    assert found.raw_score is not None
    assert found.base is not None
    assert found.base + sum(part.contribution for part in found.parts) == pytest.approx(
        found.raw_score
    )
    assert 1 / (1 + np.exp(-found.raw_score)) == pytest.approx(view.score, rel=1e-4, abs=1e-6)
    assert {part.feature for part in found.parts} == set(NAMES)
    known = {part.feature: part.value for part in found.parts}
    assert [known[name] is None for name in NAMES] == np.isnan(features).tolist()
    heavy = [abs(part.contribution) for part in found.parts]
    assert heavy == sorted(heavy, reverse=True)
    assert b"NaN" not in msgspec.json.encode(found)


def test_every_reason_has_a_kind_and_a_text() -> None:
    found = explain(judged(SOME, reasons=sum(reason.bit for reason in Reason)), None)
    assert [why.reason for why in found.why] == [reason.name.lower() for reason in Reason]
    kinds = {why.reason: why.kind for why in found.why}
    assert kinds["declared_bot"] == "general invalid traffic"
    assert kinds["model_score"] == "sophisticated invalid traffic"
    assert kinds["repeat_view"] == "view policy"
    assert kinds["lists_unavailable"] == "not available"
    assert all(len(reason_text(reason)) > 20 for reason in Reason)


def test_shadows_say_by_their_own_thresholds() -> None:
    view = judged(SOME, shadow_scores=[0.5, 0.4], shadows=["a", "b"], shadow_thresholds=[0.5, 0.5])
    found = explain(view, None).shadows
    assert [(one.version, one.bot) for one in found] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model_version": "gone-1"}, "model gone-1 cannot be loaded here"),
        ({"features": []}, "are not there"),
        ({"features_digest": "0" * 16}, "is by other features now"),
        ({"features": [1.0]}, "has other features than the view"),
        ({"score": 0.123456}, "is another one now"),
        ({"score": None}, "was not asked"),
        ({"reasons": 0}, "has another threshold now"),
    ],
)
def test_says_what_is_missing(changes: dict[str, Any], why: str) -> None:
    view = judged(SOME, **{"reasons": Reason.MODEL_SCORE.bit} | changes)
    found = explain(view, None)
    assert why in found.problem
    assert [one.reason for one in found.why] == ["model_score"] * bool(view.reasons)


def test_a_model_of_the_operator_is_found_by_its_version(tmp_path: Path) -> None:
    save_small(tmp_path, "mine", 3, threshold=0.25)
    model = load_model("mine", tmp_path)
    score = float(model.predict(SOME.astype(np.float32).reshape(1, -1))[0])
    found = explain(judged(SOME, model_version="mine-3", score=score), tmp_path)
    assert (found.problem, found.threshold) == ("", 0.25)
