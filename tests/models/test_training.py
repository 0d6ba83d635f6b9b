import numpy as np
import pytest
from support.examples import TELLING, examples

from models import training
from models.features import NAMES
from models.training import REPETITION, joined, split_by_time, train


def test_learns_and_repeats_itself() -> None:
    known, unknown = examples(4_000), examples(1_000, seed=2)
    model = train(known, seed=1)
    again = train(known, seed=1)
    right = model.predict(unknown.features) == ~unknown.human
    assert right.mean() > 0.95
    first, second = (one.predict_proba(unknown.features) for one in (model, again))
    assert (first == second).all()


def test_what_lists_find_is_not_learned() -> None:
    known = examples(4_000)
    listed = known._replace(givt=(~known.human).astype(np.uint32))
    with pytest.raises(ValueError, match="people and of bots that lists let through"):
        train(listed, seed=1)


def test_fields_that_were_not_sent_are_no_evidence() -> None:
    """In the simulator only scripts leave out the time zone."""
    known = examples(4_000)
    hour = NAMES.index("local_hour")
    known.features[~known.human, hour] = np.nan
    unknown = examples(1_000, seed=2).where(examples(1_000, seed=2).human)
    unknown.features[:, hour] = np.nan
    taken_for_bots = train(known, seed=1).predict(unknown.features).mean()
    assert taken_for_bots < 0.5


def test_a_column_without_a_value_says_nothing() -> None:
    known, unknown = examples(4_000), examples(1_000, seed=2)
    known.features[:, NAMES.index("local_hour")] = np.nan
    model = train(known, seed=1)
    assert (model.predict(unknown.features) == ~unknown.human).mean() > 0.95
    changed = unknown.features.copy()
    changed[:, NAMES.index("local_hour")] = np.nan
    assert (model.decision_function(changed) == model.decision_function(unknown.features)).all()


def test_people_are_thinned_where_bots_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_LEAST_PEOPLE", 500)
    known = examples(10_000, bots=0.01)
    chosen = known.where(training._chosen(known, 1))
    bots = int((~known.human).sum())
    assert (~chosen.human).sum() == bots
    assert chosen.human.sum() == max(500, 10 * bots)


@pytest.mark.parametrize("name", REPETITION)
def test_nobody_looks_more_like_a_person_by_doing_the_same_again(name: str) -> None:
    known = examples(4_000)
    known.features[:, NAMES.index(name)] += 2 * known.human
    model = train(known, seed=1)
    some = np.repeat(known.features[:50], 2, axis=0)
    some[::2, NAMES.index(name)], some[1::2, NAMES.index(name)] = -3, 5
    score = model.decision_function(some)
    assert (score[1::2] >= score[::2]).all()


def test_splits_by_time() -> None:
    found = joined([examples(100), examples(50)])
    early, late = split_by_time(found, 0.7)
    assert len(early.kind) + len(late.kind) == 150
    assert early.log_time.max() < late.log_time.min()
    assert early.features[0, TELLING] == found.features[0, TELLING]
