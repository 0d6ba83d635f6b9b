import numpy as np
import pytest
from support.examples import examples

from models.evaluation import calibration, evaluate
from models.features import NAMES
from models.payments import payments
from models.resampling import grouped
from models.training import Examples

KINDS = ["human"] * 6 + ["crawler"] * 2 + ["slow_distributed"] * 4
SCORES = np.array([0.9, 0, 0, 0, 0.9, 0.9, 0, 0, 0.9, 0, 0, 0.9], np.float32)


def twelve(**columns: np.ndarray) -> Examples:
    n = len(KINDS)
    plain = Examples(
        kind=np.array(KINDS),
        platform=np.array(["tiktok", "web"] * 6),
        viewer=np.arange(n, dtype=np.uint64),
        promoter=np.arange(n, dtype=np.uint64) % 7,
        once=np.arange(n, dtype=np.uint64),
        rate_micros=np.full(n, 1_000),
        log_time=np.arange(n, dtype=np.int64),
        features=np.zeros((n, len(NAMES))),
        givt=np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0], np.uint32),
        policy=np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1], np.uint32),
    )
    return plain._replace(**columns)


def test_figures_count_what_they_say() -> None:
    found = evaluate(twelve(), SCORES, threshold=0.5, seed=1)
    of = {
        name: (value["n"], value["rate"]) for name, value in found.items() if "n" in str(value)[:5]
    }
    assert found["payable_views"] == 7
    assert of["people_flagged_by_model"] == (4, 0.25)
    assert of["people_flagged_by_lists"] == (6, pytest.approx(1 / 6, abs=1e-5))
    assert of["bots_caught_by_lists"] == (6, pytest.approx(2 / 6, abs=1e-5))
    assert of["bots_caught_by_model"] == (3, pytest.approx(1 / 3, abs=1e-5))
    assert of["bots_paid"] == (6, pytest.approx(2 / 6, abs=1e-5))
    assert of["paid_views_that_are_bots"] == (5, 0.4)
    slow = found["by_kind"]["slow_distributed"]
    assert slow["unqualified_by_policy"]["rate"] == 0.25
    assert slow["paid"]["rate"] == 0.5
    assert found["by_kind"]["crawler"]["caught_by_model"]["n"] == 0
    # Of TikTok two of three payable people pass, and one of two payable bots.
    tiktok = found["by_platform"]["tiktok"]
    assert (tiktok["people_flagged"]["n"], tiktok["people_flagged"]["rate"]) == (2, 0.5)


def test_money_is_of_views_that_the_policy_pays() -> None:
    rates = np.array([10, 20, 30, 40, 1e9, 50, 5, 5, 10, 20, 60, 1e9]).astype(np.int64)
    found = evaluate(twelve(rate_micros=rates), SCORES, threshold=0.5, seed=1)
    # Two crawlers on a list, one flagged: 5 + 5 + 10 of 100 are not paid.
    assert found["money_leaked"]["rate"] == pytest.approx(80 / 100)
    # One flagged, one on a list: 10 + 50 of 150.
    assert found["money_denied"]["rate"] == pytest.approx(60 / 150)
    slow = found["by_kind"]["slow_distributed"]
    assert slow["money_leaked"]["rate"] == pytest.approx(80 / 90, abs=1e-5)
    assert slow["money_denied"]["n"] == 0


def test_one_view_of_viewer_post_and_day_is_paid() -> None:
    once = np.array([0, 0, 0, 3, 4, 5, 6, 7, 8, 8, 10, 11], np.uint64)
    found = payments(twelve(once=once), SCORES)
    assert len(found.view) == 7
    assert found.lowest[np.isin(found.view, [0, 1, 2])].tolist() == [0.0]
    # A flagged view costs nobody anything whose other view passes.
    money = evaluate(twelve(once=once), SCORES, threshold=0.5, seed=1)
    assert money["money_denied"]["rate"] == pytest.approx(1 / 3, abs=1e-5)


def test_calibration_measures_how_far_probabilities_are_off() -> None:
    rng = np.random.default_rng(1)
    score = rng.random(20_000).astype(np.float32)
    groups = grouped("viewers", np.arange(20_000), 1)
    bot = rng.random(20_000) < score
    right = calibration(bot, score, groups.of, groups.times)
    wrong = calibration(bot, score**3, groups.of, groups.times)
    assert right["expected_error"] < 0.02 < 0.1 < wrong["expected_error"]
    assert right["brier"] < wrong["brier"]
    assert sum(row["share"]["n"] for row in right["bins"]) == 20_000


def test_people_only_have_no_figures() -> None:
    with pytest.raises(ValueError, match="none of 10 are positive"):
        evaluate(examples(10, bots=0), np.zeros(10, np.float32), 0.5, 1)
