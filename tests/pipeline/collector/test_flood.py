"""A viewer that floods is held to its share; the others do not notice."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.events import event

from pipeline.collector import flood
from pipeline.collector.flood import Flood
from pipeline.collector.incoming import Incoming


def of(viewer: str) -> Incoming:
    return Incoming(**event(viewer_id=viewer))


@given(st.lists(st.lists(st.sampled_from(["viewer-a", "viewer-b", "viewer-c"]), max_size=12)))
def test_each_viewer_has_its_share_over_all_requests(requests: list[list[str]]) -> None:
    guard = Flood(5)
    let_in: list[str] = []
    for viewers in requests:
        flags = guard.beyond([of(viewer) for viewer in viewers])
        let_in += [viewer for viewer, beyond in zip(viewers, flags, strict=True) if not beyond]
    for viewer in ("viewer-a", "viewer-b", "viewer-c"):
        assert let_in.count(viewer) == min(5, sum(one.count(viewer) for one in requests))


def test_the_next_minute_is_a_new_one(monkeypatch: Any) -> None:
    now = [1000.0]
    monkeypatch.setattr(flood.time, "monotonic", lambda: now[0])
    guard = Flood(1)
    assert guard.beyond([of("viewer-a"), of("viewer-a")]) == [False, True]
    now[0] += 61
    assert guard.beyond([of("viewer-a")]) == [False]
