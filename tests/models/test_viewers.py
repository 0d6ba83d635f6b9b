import math

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from support.traffic import Event, batch_of, cut, traffic

from models.batch import batch_of_accepted
from models.viewers import KEEP_MS, WINDOWS_MS, Before, Viewers


def columns(before: Before) -> np.ndarray:
    return np.column_stack(
        [before.is_new, before.gap_ms, before.last_gap_ms, before.last_watch_ms, *before.events]
    ).astype(float)


def by_the_book(events: list[Event]) -> list[list[float]]:
    """The same, event by event, as slowly as it is meant."""
    known: dict[str, dict] = {}
    seen, rows = 0, []
    for one in events:
        seen = max(seen, one.log_time)
        viewer = known.get(one.view.viewer_id)
        if viewer is None or seen - viewer["seen"] > KEEP_MS:
            viewer = {"views": [], "gap": math.nan, "bucket": [-1] * 2}
            known[one.view.viewer_id] = viewer
        views = viewer["views"]
        gap = one.viewed_at - views[-1][0] if views else math.nan
        row = [not views, gap, viewer["gap"], views[-1][1] if views else math.nan]
        buckets = []
        for w, window in enumerate(WINDOWS_MS):
            bucket = max(viewer["bucket"][w], one.viewed_at // window)
            now = sum(view[2][w] == bucket for view in views)
            earlier = sum(view[2][w] == bucket - 1 for view in views)
            passed = min(max(one.viewed_at / window - bucket, 0), 1)
            row.append(now + earlier * (1 - passed))
            buckets.append(bucket)
        views.append((one.viewed_at, one.view.watch_ms, buckets))
        viewer |= {"seen": seen, "gap": gap, "bucket": buckets}
        rows.append(row)
    return rows


@given(traffic(), st.data())
def test_any_blocks_give_what_event_by_event_gives(
    events: list[Event], data: st.DataObject
) -> None:
    viewers = Viewers()
    found = [columns(viewers.observe(batch_of(block))) for block in data.draw(cut(events))]
    np.testing.assert_allclose(np.concatenate(found), by_the_book(events), rtol=1e-9)


@given(traffic(), st.data())
def test_state_is_a_function_of_the_log(events: list[Event], data: st.DataObject) -> None:
    at_once, in_blocks = Viewers(), Viewers()
    at_once.observe(batch_of(events))
    for block in data.draw(cut(events)):
        in_blocks.observe(batch_of(block))
        in_blocks = Viewers.from_arrays(in_blocks.to_arrays())
    assert canonical(at_once) == canonical(in_blocks)


def canonical(viewers: Viewers) -> dict[str, list]:
    arrays = viewers.to_arrays()
    order = np.argsort(arrays["viewer"])
    return {
        name: column.tolist() if name == "watermark" else column[order].tolist()
        for name, column in arrays.items()
    }


@given(traffic())
def test_accepted_rows_restore_what_the_stream_had(events: list[Event]) -> None:
    table = pa.table(
        {
            "viewer_id": [one.view.viewer_id for one in events],
            "log_time": [one.log_time for one in events],
            "viewed_at": [one.viewed_at for one in events],
            "watch_ms": pa.array([one.view.watch_ms for one in events], pa.int32()),
        }
    )
    stream, restored = Viewers(), Viewers()
    stream.observe(batch_of(events))
    restored.observe(batch_of_accepted(table))
    assert canonical(stream) == canonical(restored)


def test_memory_is_bounded_by_expiry() -> None:
    viewers = Viewers()
    rng = np.random.default_rng(1)
    for hour in range(24 * 5):
        n = 2_000
        log_time = np.full(n, hour * 3_600_000, np.int64)
        viewers.observe(
            Block(rng.integers(0, 2**63, n).astype(np.uint64), log_time, log_time, log_time % 7)
        )
    assert len(viewers.to_arrays()["viewer"]) == 25 * 2_000
    assert viewers.nbytes < 25 * 2_000 * 350


class Block:
    def __init__(self, viewer, log_time, viewed_at, watch_ms) -> None:
        self.viewer, self.log_time = viewer, log_time
        self.viewed_at, self.watch_ms = viewed_at, watch_ms
