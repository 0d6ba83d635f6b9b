import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.traffic import Event, batch_of, cut, traffic

from models.engine.engine import Engine
from models.engine.view import columns_of_batch
from models.features import _STREAM, COLUMNS, FEATURES, NAMES, new_engine


def features(blocks: list[list[Event]]) -> np.ndarray:
    engine = new_engine()
    return np.concatenate([engine.observe(columns_of_batch(batch_of(block))) for block in blocks])


def test_every_name_is_one_of_the_engine() -> None:
    assert sorted(NAMES) == sorted(_STREAM.split())


def test_views_have_every_column_that_memory_needs() -> None:
    given = columns_of_batch(batch_of([]))
    assert given.keys() >= {*COLUMNS}
    assert Engine(given, FEATURES).families == new_engine().families


@settings(max_examples=50)
@given(traffic(), st.data())
def test_stream_and_training_agree_whatever_the_blocks(
    events: list[Event], data: st.DataObject
) -> None:
    found = features([events])
    np.testing.assert_array_equal(found, features(data.draw(cut(events))))
    assert not np.isinf(found).any()


@settings(max_examples=50)
@given(traffic(), st.data())
def test_features_are_past_only(events: list[Event], data: st.DataObject) -> None:
    known = data.draw(st.integers(0, len(events)))
    others = data.draw(traffic())
    shift = (events[known - 1].log_time if known else 0) - others[0].log_time
    later = [
        one._replace(log_time=one.log_time + shift, viewed_at=one.viewed_at + shift)
        for one in others
    ]
    found = features([events[:known] + later])
    np.testing.assert_array_equal(found[:known], features([events])[:known])
