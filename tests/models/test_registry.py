from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from models.drift import Reference
from models.features import NAMES, features_digest
from models.registry import REGISTRY, Card, ModelError, load_model, save_model


def card(**changes: Any) -> Card:
    import sklearn

    fields: dict[str, Any] = {
        "name": "small",
        "version": "small-1",
        "features_digest": features_digest(),
        "features": list(NAMES),
        "threshold": 0.5,
        "libraries": {"scikit-learn": sklearn.__version__},
        "data": {},
        "metrics": {},
    }
    return Card(**fields | changes)


@pytest.fixture(scope="module")
def estimator() -> HistGradientBoostingClassifier:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(500, len(NAMES)))
    features[rng.random(features.shape) < 0.1] = np.nan
    return HistGradientBoostingClassifier(max_iter=3).fit(features, rng.random(500) < 0.5)


def test_a_model_comes_back_the_same(
    estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(), "text")
    found = load_model("small", tmp_path)
    features = np.random.default_rng(2).normal(size=(50, len(NAMES)))
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert found.predict(features).tolist() == expected.tolist()
    assert found.predict(features[:0]).shape == (0,)
    assert (found.version, found.threshold) == ("small-1", 0.5)


@pytest.mark.parametrize("n", [1, 2_000])
def test_the_calibration_of_the_card_makes_raw_scores_probabilities(
    n: int, estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(calibration=(0.5, -1.25)), "text")
    features = np.random.default_rng(4).normal(size=(n, len(NAMES)))
    raw = estimator.decision_function(features)
    expected = (1 / (1 + np.exp(1.25 - 0.5 * raw))).astype(np.float32)
    found = load_model("small", tmp_path).predict(features)
    np.testing.assert_array_max_ulp(found, expected, 1)


def test_the_champion_is_here_small_and_has_a_card() -> None:
    found = load_model("champion")
    files = {path.name: path.stat().st_size for path in (REGISTRY / "champion").iterdir()}
    assert set(files) >= {"model.skops", "card.json", "card.md"}
    assert sum(files.values()) < 1_000_000
    assert set(found.card.metrics["tests"]["by_kind"]) >= {"slow_distributed", "promoter_farm"}
    assert found.card.metrics["tests"]["people_flagged_by_model"]["rate"] < 0.01


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"no model 'nobody'; there is .*champion"):
        load_model("nobody")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"features_digest": "0" * 16}, "trained on other features"),
        ({"libraries": {"scikit-learn": "0.1"}}, "made with scikit-learn 0.1"),
        ({"libraries": {}}, "made with scikit-learn None"),
        ({"threshold": 0.0}, "threshold 0.0 is not between"),
        ({"threshold": 7.0}, "threshold 7.0 is not between"),
        ({"calibration": (0.0, 0.0)}, "is not a slope above 0"),
        ({"calibration": (-1.0, 0.0)}, "is not a slope above 0"),
        ({"calibration": (1.0, float("inf"))}, "Expected"),
        # Counted by it, the first block would raise.
        ({"reference": {"watch_s": Reference([1.0, 2.0], [0.5, 0.5])}}, "one share of each bin"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    changes: dict[str, Any],
    why: str,
    estimator: HistGradientBoostingClassifier,
    tmp_path: Path,
) -> None:
    save_model(tmp_path / "small", estimator, card(**changes), "text")
    with pytest.raises(ModelError, match=why):
        load_model("small", tmp_path)


def test_a_changed_model_is_refused(
    estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(), "text")
    path = tmp_path / "small" / "model.skops"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ModelError, match=r"model\.skops is not the file of its card"):
        load_model("small", tmp_path)


@pytest.mark.parametrize("name", ["card.json", "model.skops"])
def test_a_missing_or_broken_file_is_refused(
    name: str, estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(), "text")
    (tmp_path / "small" / name).unlink()
    with pytest.raises(ModelError, match="train it again"):
        load_model("small", tmp_path)
    (tmp_path / "small" / name).write_bytes(b"{")
    with pytest.raises(ModelError, match="train it again"):
        load_model("small", tmp_path)


class Stranger:
    """Not a type that a model may have in it."""


def test_a_file_with_foreign_types_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "small", {"model": Stranger()}, card(), "text")
    with pytest.raises(ModelError, match="Stranger"):
        load_model("small", tmp_path)


def test_a_card_reads_back(estimator: HistGradientBoostingClassifier, tmp_path: Path) -> None:
    save_model(tmp_path / "small", estimator, card(data={"x": [1]}), "text")
    raw = msgspec.json.decode((tmp_path / "small" / "card.json").read_bytes())
    assert raw["data"] == {"x": [1]}
    assert len(raw["model_sha256"]) == 64


@pytest.mark.parametrize(
    "content",
    [b'{"name": "\xff"}', b'{"data": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", b"[]"],
)
def test_a_card_of_other_bytes_is_refused(
    content: bytes, estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(), "text")
    (tmp_path / "small" / "card.json").write_bytes(content)
    with pytest.raises(ModelError, match="train it again"):
        load_model("small", tmp_path)


def _leaf(nodes: Any) -> int:
    return int(np.flatnonzero(nodes["is_leaf"])[0])


def _change(field: str, at: Any, value: Any) -> Callable[[Any], Any]:
    def change(estimator: Any) -> Any:
        nodes = estimator._predictors[0][0].nodes
        nodes[field][at(nodes) if callable(at) else at] = value
        return estimator

    return change


def _wider(estimator: Any) -> Any:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, len(NAMES) + 1))
    return HistGradientBoostingClassifier(max_iter=1).fit(features, rng.random(200) < 0.5)


@pytest.mark.parametrize(
    "harmed",
    [
        _change("value", _leaf, np.nan),  # such a score is below any threshold: paid
        _change("value", _leaf, np.inf),
        _change("left", 0, 10_000),
        _change("left", 0, 0),
        _change("right", 0, 1),
        _change("feature_idx", 0, 500),
        _wider,
        lambda _: {"no": "model"},
    ],
)
def test_trees_that_nobody_trained_are_refused_when_they_are_loaded(
    harmed: Callable[[Any], Any], estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", harmed(deepcopy(estimator)), card(), "text")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model("small", tmp_path)


def test_a_card_with_other_names_of_features_is_refused(
    estimator: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    save_model(tmp_path / "small", estimator, card(features=[*NAMES, "more"]), "text")
    with pytest.raises(ModelError, match="trained on other features"):
        load_model("small", tmp_path)
