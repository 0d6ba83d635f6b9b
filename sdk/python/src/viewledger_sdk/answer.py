"""What an answer of the collector, or none, means for the batch."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

_RETRIED_4XX = frozenset({408, 429})
MAX_RETRY_AFTER_S = 3600.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Looked up by lower-case name."""
    body: bytes


class Rejection(NamedTuple):
    """One event of the batch that was not accepted."""

    row: int
    reason: str
    detail: str


class Delivered(NamedTuple):
    """All events but these are durable."""

    rejected: list[Rejection]


class Retry(NamedTuple):
    """Send the same events again."""

    after_s: float | None
    """Not before; None leaves it to the backoff."""
    why: str


class Halve(NamedTuple):
    """The body was too large: send each half by itself."""

    detail: str


class GiveUp(NamedTuple):
    """Sending the batch again would not help."""

    reason: str
    detail: str
    rejected: list[Rejection]
    """Events with reasons of their own; all others have that of the batch."""


Decision = Delivered | Retry | Halve | GiveUp


def decide(answer: Answer | None, count: int, now_ms: int, failure: str = "no answer") -> Decision:
    """What to do with a batch of `count` events.

    Args:
        answer: None if there was none.
        now_ms: for a Retry-After that is a date.
        failure: why there was none.
    """
    if answer is None:
        return Retry(None, failure)
    status, body = answer.status, _object(answer.body)
    if status == HTTPStatus.ACCEPTED:
        rejected = _rejections(body, count)
        if rejected is None or type(body.get("accepted")) is not int:
            return Retry(None, "202 with a body that is not the collector's")
        return Delivered(rejected)
    reason = str(body.get("type") or "").rpartition(":")[2] or f"http_{status}"
    detail = str(body.get("detail") or _phrase(status))
    if status in _RETRIED_4XX or not 400 <= status < 500:
        # Beside the 5xx: what a captive portal or a proxy says instead of the collector.
        after_s = retry_after_s(answer.headers.get("retry-after"), now_ms)
        return Retry(after_s, f"{status} {detail}")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Halve(detail) if count > 1 else GiveUp("too_large", detail, [])
    return GiveUp(reason, detail, _rejections(body, count) or [])


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rejections(body: dict[str, Any], count: int) -> list[Rejection] | None:
    """What the list says, or None if it is none."""
    found: dict[int, Rejection] = {}
    rejected = body.get("rejected")
    if not isinstance(rejected, list):
        return None
    for one in rejected:
        index = one.get("index") if isinstance(one, dict) else None
        if type(index) is int and 0 <= index < count:
            found[index] = Rejection(index, str(one.get("reason")), str(one.get("detail", "")))
    return list(found.values())


def retry_after_s(text: str | None, now_ms: int) -> float | None:
    """How long a Retry-After asks to wait, at most an hour; None if it says nothing."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text.strip()[:9]), MAX_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, until - now_ms / 1000), MAX_RETRY_AFTER_S)


def _phrase(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "no such status"
    return f"{status} {phrase}; is the endpoint a viewledger collector?"
