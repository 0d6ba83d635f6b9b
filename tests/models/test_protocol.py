import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.protocol import Labelled, features_of, first_of_each, fit, score

pytestmark = pytest.mark.slow


def clicks(seed: int, start: int, n: int = 3_000) -> Labelled:
    """Viewers of whom the regular ones are positive, and campaigns of which some are more so."""
    rng = np.random.default_rng(seed)
    seen = 1_700_000_000_000 + start + np.arange(n) * 200
    regular = rng.random(n) < 0.2
    viewer = np.where(regular, rng.integers(1, 4, n), rng.integers(100, 2_000, n))
    campaign = rng.integers(1, 30, n)
    positive = regular & (rng.random(n) < np.where(campaign < 6, 0.9, 0.3))
    columns = {
        "time": seen,
        "seen": seen,
        "viewer": viewer.astype(np.uint64),
        "campaign": campaign.astype(np.uint64),
        "promoter": np.ones(n, np.uint64),
        "post": campaign.astype(np.uint64),
    }
    return Labelled(columns, positive, {"size": rng.normal(size=n)}, encode=True)


def auc(labelled: Labelled, scores: np.ndarray) -> float:
    higher = scores[labelled.positive][:, None] > scores[~labelled.positive]
    return float(higher.mean())


def test_velocity_finds_regular_viewers_and_encodings_the_campaigns() -> None:
    early, late = clicks(1, 0), clicks(2, 600_000)
    found = {
        which: auc(late, score(fit([early], which, "online", 1), late, [early]))
        for which in ("velocity", "all")
    }
    assert 0.8 < found["velocity"] < found["all"]


def test_the_same_seed_gives_the_same_scores_and_labels_are_not_used() -> None:
    early, late = clicks(1, 0, 1_000), clicks(2, 200_000, 500)
    one = score(fit([early], "all", "settlement", 3), late, [])
    blind = late._replace(positive=~late.positive)
    np.testing.assert_array_equal(one, score(fit([early], "all", "settlement", 3), blind, []))


def test_online_scores_know_nothing_of_later_events_and_settlement_does() -> None:
    early, late = clicks(1, 0, 1_000), clicks(2, 200_000, 600)
    for mode, same in (("online", True), ("settlement", False)):
        fitted = fit([early], "velocity", mode, 1)
        whole, begin = score(fitted, late, []), score(fitted, late.rows(slice(300)), [])
        assert np.array_equal(whole[:300], begin) == same


def test_velocity_has_nothing_of_the_view_itself() -> None:
    assert {"watch_s", "viewer_watch_spread"}.isdisjoint(
        feature.name for feature in features_of("velocity")
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4)), st.integers(1, 3))
def test_first_of_each(viewers: list[int], cap: int) -> None:
    expected = [viewers[:i].count(viewer) < cap for i, viewer in enumerate(viewers)]
    assert first_of_each(np.array(viewers, np.int64), cap).tolist() == expected
