"""The fast way through a forest gives what scikit-learn gives, to the last bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from models.features import NAMES
from models.forest import MAX_LEAVES, forest_of
from models.registry import Model, load_model

CHAMPION = load_model("champion")


def thresholds(estimator: Any) -> list[list[float]]:
    found: list[list[float]] = [[0.0] for _ in NAMES]
    for (predictor,) in estimator._predictors:
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            found[node["feature_idx"]].append(node["num_threshold"])
    return found


AT = thresholds(CHAMPION.estimator)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from(["C", "F"]))
def test_the_champion_answers_the_same(seed: int, order: Any) -> None:
    rng = np.random.default_rng(seed)
    n = 1_500
    features = np.empty((n, len(NAMES)), order=order)
    for i, values in enumerate(AT):
        # On a threshold, the next number beside it, and anywhere.
        features[:, i] = rng.choice(values, n)
        aside = rng.choice([-np.inf, 0, np.inf], n)
        features[:, i] = np.where(aside == 0, features[:, i], np.nextafter(features[:, i], aside))
        features[rng.random(n) < 0.1, i] = rng.choice([np.nan, -np.inf, np.inf, rng.normal()])
    expected = CHAMPION.estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert CHAMPION.forest is not None
    assert CHAMPION.predict(features).tolist() == expected.tolist()


@pytest.mark.parametrize("leaves", [2, 3, MAX_LEAVES])
def test_trees_of_any_small_size(leaves: int) -> None:
    rng = np.random.default_rng(leaves)
    features = rng.normal(size=(3_000, 4))
    features[rng.random(features.shape) < 0.2] = np.nan
    bot = np.isnan(features[:, 0]) | (features[:, 1] > 1)
    estimator = HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=leaves)
    estimator.fit(features, bot)
    model = Model(CHAMPION.card, estimator, forest_of(estimator))
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert model.forest is not None
    assert model.predict(features).tolist() == expected.tolist()


def test_a_tree_that_never_splits() -> None:
    features = np.zeros((2_000, 2))
    estimator = HistGradientBoostingClassifier(max_iter=2)
    estimator.fit(features, np.arange(2_000) % 3 == 0)
    model = Model(CHAMPION.card, estimator, forest_of(estimator))
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert model.predict(features).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "options", [{"max_leaf_nodes": MAX_LEAVES + 1}, {"categorical_features": [0]}]
)
def test_trees_that_do_not_fit_are_left_to_scikit_learn(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    features = rng.integers(0, 8, size=(3_000, 3)).astype(float)
    bot = (features[:, 0] % 2 == 0) ^ (rng.random(3_000) < 0.2) ^ (features[:, 1] == 3)
    estimator = HistGradientBoostingClassifier(max_iter=3, **options).fit(features, bot)
    model = Model(CHAMPION.card, estimator, forest_of(estimator))
    assert model.forest is None
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert model.predict(features).tolist() == expected.tolist()
