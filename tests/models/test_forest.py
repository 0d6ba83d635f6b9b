"""The fast way through a forest gives what scikit-learn gives, to the last bit."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from models.forest import MAX_LEAVES, forest_of
from models.registry import UNCALIBRATED, Model, load_model

CHAMPION = load_model("champion")
PLAIN = msgspec.structs.replace(CHAMPION.card, calibration=UNCALIBRATED)
"""The card of a model whose probability is scikit-learn's own."""
FEATURES = 5
ON_THRESHOLDS = np.array([-np.inf, -2.5, -0.0, 0.0, 5e-324, 1.0, 1 + 2**-52, 1e300, np.inf])
BESIDE_THRESHOLDS = np.nextafter(ON_THRESHOLDS, [[-np.inf], [np.inf]]).ravel()
VALUES = np.array([np.nan, *ON_THRESHOLDS, *BESIDE_THRESHOLDS, 0.3])


def fitted(features: Any, bot: Any, **options: Any) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(early_stopping=False, **options).fit(features, bot)


@pytest.fixture(scope="module")
def estimator() -> HistGradientBoostingClassifier:
    """Whose trees are replaced by others."""
    features = np.random.default_rng(1).normal(size=(50, FEATURES))
    return fitted(features, features[:, 0] > 0, max_iter=1, min_samples_leaf=2)


def random_tree(rng: np.random.Generator, leaves: int) -> TreePredictor:
    """Of any shape: leaves are split at random until there are as many."""
    nodes = np.zeros(2 * leaves - 1, PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"], nodes["value"] = True, rng.normal(size=len(nodes))
    for left in range(1, len(nodes), 2):
        split = nodes[rng.choice(np.flatnonzero(nodes["is_leaf"][:left])) :][:1]
        split["is_leaf"], split["left"], split["right"] = False, left, left + 1
        split["feature_idx"] = rng.integers(FEATURES)
        split["num_threshold"] = rng.choice([*ON_THRESHOLDS, rng.normal()])
        split["missing_go_to_left"] = rng.random() < 0.5
    none = np.empty((0, 8), np.uint32)
    return TreePredictor(nodes, none, none)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    leaves=st.lists(
        st.integers(1, 17) | st.sampled_from([31, 32, 33, MAX_LEAVES]), min_size=1, max_size=9
    ),
    n=st.integers(1, 40) | st.sampled_from([8_192, 8_193]),
    order=st.sampled_from(["C", "F"]),
)
def test_random_forests_score_the_same(
    estimator: Any, seed: int, leaves: list[int], n: int, order: Any
) -> None:
    rng = np.random.default_rng(seed)
    estimator._predictors = [[random_tree(rng, size)] for size in leaves]
    estimator._baseline_prediction = rng.normal(size=(1, 1))
    features = np.asarray(rng.choice(VALUES, (n, FEATURES)), order=order)
    forest = forest_of(estimator)
    assert forest is not None
    before = features.copy()
    assert forest.raw_scores(features).tolist() == estimator.decision_function(features).tolist()
    np.testing.assert_array_equal(features, before)
    assert forest.raw_scores(features[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("leaves", "bits"), [(8, np.uint8), (9, np.uint16), (17, np.uint32), (33, np.uint64)]
)
def test_as_few_bits_as_there_are_leaves(estimator: Any, leaves: int, bits: npt.DTypeLike) -> None:
    estimator._predictors = [[random_tree(np.random.default_rng(leaves), leaves)]]
    forest = forest_of(estimator)
    assert forest is not None
    assert forest.left.dtype == bits


@pytest.mark.parametrize("n", [1, 3_000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_champion_answers_the_same(n: int, dtype: npt.DTypeLike) -> None:
    rng = np.random.default_rng(n)
    features = rng.gamma(1.0, 10.0, size=(n, len(CHAMPION.card.features))).astype(dtype)
    features[rng.random(features.shape) < 0.2] = np.nan
    model = CHAMPION._replace(forest=None)
    assert CHAMPION.forest is not None
    assert CHAMPION.predict(features).tolist() == model.predict(features).tolist()


@pytest.mark.parametrize("leaves", [2, 3, 16, MAX_LEAVES])
def test_trees_as_they_are_trained(leaves: int) -> None:
    rng = np.random.default_rng(leaves)
    features = rng.normal(size=(3_000, 4))
    features[rng.random(features.shape) < 0.2] = np.nan
    bot = np.isnan(features[:, 0]) | (features[:, 1] > 1)
    estimator = fitted(features, bot, max_iter=5, max_leaf_nodes=leaves, min_samples_leaf=5)
    model = Model(PLAIN, estimator, forest_of(estimator))
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert model.forest is not None
    assert model.predict(features).tolist() == expected.tolist()


def test_trees_that_never_split() -> None:
    features = np.zeros((2_000, 2))
    estimator = fitted(features, np.arange(2_000) % 3 == 0, max_iter=2)
    forest = forest_of(estimator)
    assert forest is not None
    assert forest.questions == 0
    assert forest.raw_scores(features).tolist() == estimator.decision_function(features).tolist()


@pytest.mark.parametrize(
    "options", [{"max_leaf_nodes": MAX_LEAVES + 1}, {"categorical_features": [0]}]
)
def test_trees_that_do_not_fit_are_left_to_scikit_learn(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    features = rng.integers(0, 8, size=(3_000, 3)).astype(float)
    features[:, 1] += rng.random(3_000)
    bot = (features[:, 0] % 2 == 0) ^ (rng.random(3_000) < 0.4) ^ (features[:, 1] < 3)
    estimator = fitted(features, bot, max_iter=3, min_samples_leaf=2, **options)
    model = Model(PLAIN, estimator, forest_of(estimator))
    assert model.forest is None
    expected = estimator.predict_proba(features)[:, 1].astype(np.float32)
    assert model.predict(features).tolist() == expected.tolist()
