import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from models.calibration import calibrate, choose_threshold, finish, threshold_of
from models.registry import probability
from models.training import train


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200), st.floats(0.0001, 0.2))
def test_the_threshold_keeps_its_promise(scores: list[float], allowed: float) -> None:
    score = np.array(scores, np.float32)
    if (score == 1).sum() > allowed * len(scores):
        with pytest.raises(ValueError, match="have score 1"):
            threshold_of(score, allowed)
        return
    threshold = threshold_of(score, allowed)
    assert 0 < threshold < 1
    assert (score >= threshold).sum() <= allowed * len(scores)
    # No lower one does.
    lower = score[score < threshold]
    if len(lower):
        assert (score >= lower.max()).sum() > allowed * len(scores)


def test_the_share_may_be_weighed() -> None:
    """Two days of the same weight: two of ten views, and none of ninety."""
    score = np.concatenate([np.linspace(0.5, 0.95, 10), np.full(90, 0.1)]).astype(np.float32)
    weight = np.repeat([1 / 10, 1 / 90], [10, 90])
    assert (score >= threshold_of(score, 0.02)).sum() == 2
    assert (score >= threshold_of(score, 0.02, weight)).sum() == 0
    assert (score >= threshold_of(score, 0.11, weight)).sum() == 2


def test_the_threshold_is_of_payable_views_of_people_only() -> None:
    found = examples(1_000)
    score = np.where(found.human, 0.2, 0.9).astype(np.float32)
    listed = np.arange(1_000) % 10 == 0
    score[listed] = 0.99
    found = found._replace(givt=listed.astype(np.uint32))
    assert choose_threshold(score, found, 0.005) == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(ValueError, match="no payable views of people"):
        choose_threshold(score, found._replace(givt=np.ones(1_000, np.uint32)), 0.005)


def test_calibration_finds_the_line() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 3, 50_000)
    bot = rng.random(50_000) < probability(raw, (0.5, -1.0))
    assert calibrate(raw, bot) == pytest.approx((0.5, -1.0), abs=0.05)


def test_no_calibration_without_both_kinds_or_against_the_scores() -> None:
    raw = np.linspace(-3, 3, 100)
    with pytest.raises(ValueError, match="people and bots to calibrate on"):
        calibrate(raw, np.zeros(100, np.bool_))
    with pytest.raises(ValueError, match="bots do not score higher"):
        calibrate(raw, raw < 0)


def test_bots_that_are_rare_get_small_probabilities() -> None:
    """Training takes fewer people than there are; calibration sees all."""
    known, held_back = examples(6_000), examples(20_000, seed=2, bots=0.01)
    estimator = train(known, seed=1)
    raw = estimator.decision_function(held_back.features)
    trained = finish(estimator, raw, held_back, 0.01)
    score = trained.score(held_back.features)
    assert score.mean() == pytest.approx(0.01, abs=0.003)
    assert (score[held_back.human] >= trained.threshold).mean() <= 0.01
    assert (score[~held_back.human] >= trained.threshold).mean() > 0.9
