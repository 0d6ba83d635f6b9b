"""The event `view/1`, and how it becomes the bytes that are queued."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from viewledger_sdk.errors import InvalidEvent

MAX_EVENT_BYTES = 64 * 1024
STAMP_BYTES = len(',"sent_at":4102444800000}')

REQUIRED = frozenset(
    {
        "campaign_id",
        "promoter_id",
        "post_id",
        "platform",
        "viewer_id",
        "session_id",
        "watch_ms",
        "duration_ms",
        "visible_pct",
    }
)
_event_id = re.compile("[A-Za-z0-9_-]{16,64}").fullmatch
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One watched view. `event_id`, `occurred_at` and `sent_at` are set by the client."""

    campaign_id: str
    promoter_id: str
    post_id: str
    platform: Literal["tiktok", "instagram", "youtube", "web"]
    viewer_id: str
    """A pseudonym of 8 to 64 characters, never a name or an address."""
    session_id: str
    watch_ms: int
    duration_ms: int
    visible_pct: float
    event_id: str | None = None
    """16 to 64 of A-Z a-z 0-9 _ -, the same for the same view for ever."""
    occurred_at: int | None = None
    """When it was viewed, in ms since 1970; now, if it is left out."""
    ip: str | None = None
    """Of the viewer, as `user_agent` and `client_hints`: taken with secret keys only."""
    user_agent: str | None = None
    client_hints: str | None = None
    interactions: int | None = None
    muted: bool | None = None
    autoplay: bool | None = None
    screen: str | None = None
    language: str | None = None
    tz_offset_min: int | None = None
    referrer: str | None = None
    consent: Literal["granted", "denied"] | None = None
    attrs: Mapping[str, str] | None = None


_FIELDS = tuple(field.name for field in fields(View))


def as_fields(view: View) -> dict[str, Any]:
    """The fields that are set."""
    values = ((name, getattr(view, name)) for name in _FIELDS)
    found = {name: value for name, value in values if value is not None}
    return found if view.attrs is None else {**found, "attrs": dict(view.attrs)}


def encode(event: Mapping[str, Any], now_ms: int) -> tuple[str, bytes]:
    """The id of an event, and its JSON up to where `sent_at` and the brace belong.

    Id, schema and `occurred_at` are made where they are missing; `sent_at` is left out.

    Raises:
        InvalidEvent: it could not be accepted, whatever the collector knows.
    """
    whole = {"schema": "view/1", "occurred_at": now_ms, **event}
    whole.pop("sent_at", None)
    if "event_id" not in whole:
        whole["event_id"] = uuid.uuid4().hex
    if missing := REQUIRED - whole.keys():
        raise InvalidEvent("missing_field", f"the event has no {', '.join(sorted(missing))}")
    name = whole["event_id"]
    if not isinstance(name, str) or not _event_id(name):
        raise InvalidEvent("invalid_id", "event_id must be 16 to 64 of A-Z a-z 0-9 _ -")
    try:
        head = _encode(whole)[:-1].encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("not_json", f"the event cannot be written as JSON: {error}") from None
    _check_size(len(head) + STAMP_BYTES)
    return name, head


def check_raw(event: bytes) -> None:
    """Raises InvalidEvent if the bytes of an event cannot be a line of a request."""
    if not event.strip():
        raise InvalidEvent("empty_value", "the event is empty")
    if b"\n" in event or b"\r" in event:
        raise InvalidEvent("not_json", "the event has a line break: write it in one line")
    _check_size(len(event))


def _check_size(size: int) -> None:
    if size > MAX_EVENT_BYTES:
        raise InvalidEvent("too_large", f"the event has {size} bytes, at most {MAX_EVENT_BYTES}")
