import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from bench import inference
from bench.__main__ import run
from bench.inference import random_features
from bench.inference_others import lightgbm_text


@pytest.fixture(scope="module")
def estimator() -> HistGradientBoostingClassifier:
    features = random_features(2_000, seed=1)
    bot = np.nan_to_num(features[:, 0]) > 8
    return HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=5).fit(features, bot)


@pytest.mark.parametrize("name", ["models.forest", "scikit-learn"])
def test_what_we_use_is_measured_and_equal(
    name: str, estimator: HistGradientBoostingClassifier
) -> None:
    found = inference.measured(name, estimator, seconds=0.01)
    assert found is not None
    assert (found["equal"], found["off"]) == (1.0, 0.0)
    assert list(found["us_per_row"]) == ["1", "1024", "8192"]
    assert all(0 < us < math.inf for us in found["us_per_row"].values())


def test_no_services_are_started_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "measure", lambda: {"features": 50, "runs": []})
    assert run(1_000, ["inference"])["stages"] == {"inference": {"features": 50, "runs": []}}


def test_what_is_not_installed_is_not_measured(
    estimator: HistGradientBoostingClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = inference.Candidate(("a_module_that_is_nowhere",), lambda estimator: estimator)
    monkeypatch.setitem(inference.CANDIDATES, "gone", gone)
    assert inference.measured("gone", estimator) is None


def test_a_forest_as_text_has_all_its_leaves(estimator: HistGradientBoostingClassifier) -> None:
    text = lightgbm_text(estimator)
    trees = text.split("\nTree=")[1:]
    assert len(trees) == 3
    fields = dict(line.split("=", 1) for line in trees[1].splitlines() if "=" in line)
    values = [float(value) for value in fields["leaf_value"].split()]
    nodes = estimator._predictors[1][0].nodes
    assert values == nodes["value"][nodes["is_leaf"] == 1].tolist()
    assert sorted(map(int, fields["left_child"].split() + fields["right_child"].split())) == [
        *range(-len(values), 0),
        *range(1, len(values) - 1),
    ]
