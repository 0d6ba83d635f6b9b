import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import NAMES
from models.training import Examples, choose_threshold, joined, split_by_time, train


def examples(n: int, seed: int = 1) -> Examples:
    """Half bots, who come from busier addresses."""
    rng = np.random.default_rng(seed)
    bot = rng.random(n) < 0.5
    features = rng.normal(size=(n, len(NAMES)))
    features[:, NAMES.index("address_views_1h")] += 4 * bot
    return Examples(
        kind=np.where(bot, "promoter_farm", "human"),
        platform=np.full(n, "tiktok"),
        viewer=np.arange(n, dtype=np.uint64),
        promoter=np.arange(n, dtype=np.uint64) % 7,
        once=np.arange(n, dtype=np.uint64),
        rate_micros=np.full(n, 1_000),
        log_time=np.arange(n, dtype=np.int64),
        features=features,
        givt=np.zeros(n, np.uint32),
        policy=np.zeros(n, np.uint32),
    )


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200), st.floats(0.0001, 0.2))
def test_the_threshold_keeps_its_promise(scores: list[float], allowed: float) -> None:
    score = np.array(scores, np.float32)
    people = examples(len(scores))._replace(kind=np.full(len(scores), "human"))
    if (score == 1).sum() > allowed * len(scores):
        with pytest.raises(ValueError, match="have score 1"):
            choose_threshold(score, people, allowed)
        return
    threshold = choose_threshold(score, people, allowed)
    assert 0 < threshold < 1
    assert (score >= threshold).sum() <= allowed * len(scores)


def test_the_threshold_is_of_payable_views_of_people_only() -> None:
    found = examples(1_000)
    score = np.where(found.human, 0.2, 0.9).astype(np.float32)
    listed = np.arange(1_000) % 10 == 0
    score[listed] = 0.99
    found = found._replace(givt=listed.astype(np.uint32))
    assert choose_threshold(score, found, 0.005) == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(ValueError, match="no payable views of people"):
        choose_threshold(score, found._replace(givt=np.ones(1_000, np.uint32)), 0.005)


def test_learns_and_repeats_itself() -> None:
    known, unknown = examples(4_000), examples(1_000, seed=2)
    model = train(known, seed=1)
    again = train(known, seed=1)
    right = model.predict(unknown.features) == ~unknown.human
    assert right.mean() > 0.95
    first, second = (one.predict_proba(unknown.features) for one in (model, again))
    assert (first == second).all()


def test_fields_that_were_not_sent_are_no_evidence() -> None:
    """In the simulator only scripts leave out the time zone."""
    known = examples(4_000)
    hour = NAMES.index("local_hour")
    known.features[~known.human, hour] = np.nan
    unknown = examples(1_000, seed=2).where(examples(1_000, seed=2).human)
    unknown.features[:, hour] = np.nan
    taken_for_bots = train(known, seed=1).predict(unknown.features).mean()
    assert taken_for_bots < 0.5


def test_splits_by_time() -> None:
    found = joined([examples(100), examples(50)])
    early, late = split_by_time(found, 0.7)
    assert len(early.kind) + len(late.kind) == 150
    assert early.log_time.max() < late.log_time.min()
