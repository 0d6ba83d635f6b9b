"""What an answer of the collector, or none, means for the batch."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

RETRIED = frozenset({408, 429, 502, 503, 504})
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


def decide(answer: Answer | None, count: int, failure: str = "no answer") -> Decision:
    """What to do with a batch of `count` events.

    Args:
        answer: None if there was none.
        failure: why there was none.
    """
    if answer is None:
        return Retry(None, failure)
    status, body = answer.status, _object(answer.body)
    if status == HTTPStatus.ACCEPTED:
        rejected = _rejections(body, count)
        if rejected is None or body.get("accepted") != count - len(rejected):
            return Retry(None, "202 with a body that is not the collector's")
        return Delivered(rejected)
    reason = str(body.get("type") or "").rpartition(":")[2] or f"http_{status}"
    detail = str(body.get("detail") or _phrase(status))
    if status in RETRIED:
        return Retry(_retry_after(answer.headers.get("retry-after")), f"{status} {detail}")
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
        if type(index) is not int or not 0 <= index < count:
            return None
        found[index] = Rejection(index, str(one.get("reason")), str(one.get("detail", "")))
    return list(found.values())


def _retry_after(text: str | None) -> float | None:
    """Seconds; what is no whole number of them (such as a date) leaves it to the backoff."""
    if text is None or not text.strip().isascii() or not text.strip().isdigit():
        return None
    return min(float(text.strip()[:9]), MAX_RETRY_AFTER_S)


def _phrase(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "no such status"
    return f"{status} {phrase}; is the endpoint a viewledger collector?"
