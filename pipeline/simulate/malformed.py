"""Malformed lines: every way in which an event has been seen broken, and its refusal."""

import json
from collections.abc import Callable
from typing import Any

from schemas.verdicts import Refusal
from schemas.view import MAX_EVENT_BYTES

Event = dict[str, Any]


def _with(**fields: object) -> Callable[[Event], bytes]:
    return lambda event: json.dumps({**event, **fields}).encode()


def _without(field: str) -> Callable[[Event], bytes]:
    return lambda event: json.dumps({k: v for k, v in event.items() if k != field}).encode()


def _constant(value: bytes) -> Callable[[Event], bytes]:
    return lambda event: value


def _invalid_utf8(event: Event) -> bytes:
    return json.dumps({**event, "referrer": "?"}).encode().replace(b'"?"', b'"caf\xe9 \xff"')


def _deep(event: Event) -> bytes:
    depth = 5_000
    return json.dumps(event).encode()[:-1] + b', "extra": ' + b"[" * depth + b"]" * depth + b"}"


KINDS: tuple[tuple[str, Refusal, Callable[[Event], bytes]], ...] = (
    ("empty", Refusal.EMPTY_VALUE, _constant(b"")),
    ("text", Refusal.NOT_JSON, _constant(b"GET /pixel.gif HTTP/1.1")),
    ("cut_off", Refusal.NOT_JSON, lambda event: json.dumps(event).encode()[:-40]),
    ("array", Refusal.NOT_AN_OBJECT, lambda event: json.dumps([event]).encode()),
    ("number", Refusal.NOT_AN_OBJECT, _constant(b"42")),
    ("invalid_utf8", Refusal.INVALID_UTF8, _invalid_utf8),
    ("deep", Refusal.TOO_DEEP, _deep),
    ("large", Refusal.TOO_LARGE, _with(referrer="https://x.example/" + "a" * MAX_EVENT_BYTES)),
    ("nan", Refusal.NOT_A_NUMBER, _with(watch_ms=float("nan"))),
    ("infinity", Refusal.NOT_A_NUMBER, _with(visible_pct=float("inf"))),
    ("negative", Refusal.OUT_OF_RANGE, _with(watch_ms=-1_500)),
    ("over_100_percent", Refusal.OUT_OF_RANGE, _with(visible_pct=250)),
    ("microseconds", Refusal.OUT_OF_RANGE, lambda e: _with(sent_at=e["sent_at"] * 1_000)(e)),
    ("text_for_number", Refusal.WRONG_TYPE, _with(duration_ms="30000")),
    ("text_for_boolean", Refusal.WRONG_TYPE, _with(muted="yes")),
    ("number_for_id", Refusal.WRONG_TYPE, _with(campaign_id=17)),
    ("no_event_id", Refusal.MISSING_FIELD, _without("event_id")),
    # Without it there is no message key either.
    ("no_viewer_id", Refusal.MISSING_FIELD, _without("viewer_id")),
    ("no_watch_ms", Refusal.MISSING_FIELD, _without("watch_ms")),
    ("schema_from_the_future", Refusal.UNKNOWN_SCHEMA, _with(schema="view/9")),
    ("long_event_id", Refusal.INVALID_ID, _with(event_id="e" * 10_000)),
    ("long_viewer_id", Refusal.INVALID_ID, _with(viewer_id="v" * 10_000)),
    ("spaces_in_event_id", Refusal.INVALID_ID, _with(event_id="not an id, but long enough")),
    ("platform", Refusal.UNKNOWN_PLATFORM, _with(platform="myspace")),
)
"""Name, the refusal that it should get, and how a sound event is made so."""


def corrupt(number: int, line: str) -> tuple[bytes, Refusal]:
    """The `number`-th malformed line, made from a sound one; the kinds take turns."""
    _, refusal, make = KINDS[number % len(KINDS)]
    return make(json.loads(line)), refusal
