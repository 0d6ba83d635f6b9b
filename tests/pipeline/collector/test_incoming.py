"""Decoding: one bad event does not harm the batch, and is answered at its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.events import event as make_event

from pipeline.collector.incoming import Batch, count_ahead, decode
from pipeline.collector.problems import ProblemError

BAD: list[tuple[object, str]] = [
    ("text", "not_an_object"),
    (7, "not_an_object"),
    (None, "not_an_object"),
    ({}, "missing_field"),
    ({"schema": "view/9"}, "unknown_schema"),
    ({**make_event(), "event_id": "no spaces, please!"}, "invalid_id"),
    ({**make_event(), "event_id": "short"}, "invalid_id"),
    ({**make_event(), "platform": "myspace"}, "unknown_platform"),
    ({**make_event(), "watch_ms": "9"}, "wrong_type"),
    ({**make_event(), "visible_pct": 101}, "out_of_range"),
]


def ids(batch: Batch) -> list[str]:
    return [event.event_id for event in batch.events]


@given(st.lists(st.none() | st.sampled_from(BAD), min_size=1, max_size=20), st.booleans())
def test_every_event_is_decoded_or_rejected_at_its_place(
    kinds: list[tuple[object, str] | None], lines: bool
) -> None:
    sent: list[Any] = [
        make_event(event_id=f"event-{place:012}") if kind is None else kind[0]
        for place, kind in enumerate(kinds)
    ]
    body = "\n".join(map(json.dumps, sent)) if lines else json.dumps(sent)
    batch = decode(body.encode(), lines)
    good = [place for place, kind in enumerate(kinds) if kind is None]
    assert batch.places == good
    assert ids(batch) == [f"event-{place:012}" for place in good]
    bad = {place: kind[1] for place, kind in enumerate(kinds) if kind is not None}
    assert {one.index: one.reason for one in batch.rejected} == bad


def test_one_object_is_a_batch_of_one() -> None:
    batch = decode(json.dumps(make_event()).encode(), lines=False)
    assert (len(batch.events), batch.places, batch.rejected) == (1, [0], [])


@pytest.mark.parametrize("body", [b"", b"[]", b" \n ", b"[", b"\xff"])
def test_a_body_without_any_event_is_refused(body: bytes) -> None:
    try:
        batch = decode(body, lines=False)
    except ProblemError as problem:
        assert problem.status == 400
    else:
        assert batch.events == []
        assert batch.rejected


def test_a_bad_line_is_not_the_end_of_the_others() -> None:
    good = json.dumps(make_event())
    batch = decode(f"{good}\n{{broken\n{good}\n".encode(), lines=True)
    assert batch.places == [0, 2]
    assert [(one.index, one.reason) for one in batch.rejected] == [(1, "not_json")]


def test_a_line_is_an_event_and_an_event_is_a_line() -> None:
    one = json.dumps(make_event())
    batch = decode(f"{one}{one}\n{one[:40]}\n{one[40:]}\n".encode(), lines=True)
    assert batch.events == []
    assert [rejected.index for rejected in batch.rejected] == [0, 1, 2]


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_turning_away_loses_no_event(flags: list[bool]) -> None:
    body = json.dumps([make_event(event_id=f"event-{n:012}") for n in range(len(flags))])
    batch = decode(body.encode(), lines=False)
    batch.turn_away(flags, "because", "of this")
    assert batch.places == [place for place, is_bad in enumerate(flags) if not is_bad]
    assert [one.index for one in batch.rejected] == [n for n, is_bad in enumerate(flags) if is_bad]
    assert [one.event_id for one in batch.rejected] == [
        f"event-{n:012}" for n, is_bad in enumerate(flags) if is_bad
    ]


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_events_or_a_problem(body: bytes, lines: bool) -> None:
    try:
        batch = decode(body, lines)
    except ProblemError as problem:
        assert problem.status in (400, 413)
    else:
        assert batch.events or batch.rejected


@given(st.integers(1, 30), st.booleans(), st.text(max_size=20))
def test_events_are_counted_before_they_are_decoded(count: int, lines: bool, text: str) -> None:
    attrs = {"quoted": f'"occurred_at"{text}'}
    sent = [make_event(event_id=f"event-{place:012}", attrs=attrs) for place in range(count)]
    body = "\n".join(map(json.dumps, sent)) if lines else json.dumps(sent)
    assert count_ahead(body.encode()) == count


@pytest.mark.parametrize("body", [b"", b"[]", b'{"occurred\\u005fat": 1}'])
def test_what_seems_to_hold_no_event_counts_as_one(body: bytes) -> None:
    assert count_ahead(body) == 1
