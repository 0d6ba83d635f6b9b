"""Step 1: bytes to views, each event that is not one with its reason."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.verdicts import Refusal
from schemas.view import EVENT_ID_PATTERN, MAX_EVENT_BYTES, View

_decode = msgspec.json.Decoder(View).decode
_event_id_characters = re.compile(EVENT_ID_PATTERN).fullmatch
_IDS = ("event_id", "campaign_id", "promoter_id", "post_id", "viewer_id", "session_id")


class Refused(NamedTuple):
    """An event that was not accepted."""

    record: Any
    """The aiokafka `ConsumerRecord` as it was read."""
    refusal: Refusal
    detail: str
    """What was wrong, without any value of the event."""
    event_id: str | None = None
    campaign_id: str | None = None
    promoter_id: str | None = None


def decode(records: Sequence[Any]) -> tuple[list[View], list[Any], list[Refused]]:
    """Decodes and validates every record by itself.

    Returns:
        The views, their records (same length), and the refused events.
    """
    views: list[View] = []
    kept: list[Any] = []
    refused: list[Refused] = []
    for record in records:
        value = record.value
        try:
            view = _decode(value)
            if record.key != view.viewer_id.encode() or len(value) > MAX_EVENT_BYTES:
                refused.append(_refuse(record))
                continue
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            refused.append(_refuse(record))
            continue
        views.append(view)
        kept.append(record)
    # One match over all ids of the block; only a block that fails is looked at one by one.
    if not _event_id_characters("".join([view.event_id for view in views])):
        _refuse_bad_ids(views, kept, refused)
    return views, kept, refused


def _refuse_bad_ids(views: list[View], kept: list[Any], refused: list[Refused]) -> None:
    good = [_event_id_characters(view.event_id) is not None for view in views]
    for view, record, fine in zip(views, kept, good, strict=True):
        if not fine:
            detail = "event_id has characters other than A-Z a-z 0-9 _ -"
            refused.append(refuse_view(view, record, Refusal.INVALID_ID, detail))
    views[:] = [view for view, fine in zip(views, good, strict=True) if fine]
    kept[:] = [record for record, fine in zip(kept, good, strict=True) if fine]


def refuse_view(view: View, record: Any, refusal: Refusal, detail: str) -> Refused:
    """Refuses an event that could be read."""
    return Refused(record, refusal, detail, view.event_id, view.campaign_id, view.promoter_id)


def _refuse(record: Any) -> Refused:
    """Finds out why a record is not a view: the slow path, bad events only."""
    value: bytes | None = record.value
    if not value:
        return Refused(record, Refusal.EMPTY_VALUE, "the message has no value")
    if len(value) > MAX_EVENT_BYTES:
        detail = f"{len(value)} bytes, at most {MAX_EVENT_BYTES} are allowed"
        return Refused(record, Refusal.TOO_LARGE, detail)
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Refused(record, Refusal.INVALID_UTF8, f"byte {error.start} is not UTF-8")
    try:
        view = _decode(value)
    except RecursionError:
        return Refused(record, Refusal.TOO_DEEP, "nested too deeply")
    except msgspec.ValidationError as error:
        return _refuse_invalid(record, str(error), text)
    except msgspec.DecodeError as error:
        return _refuse_malformed(record, text, str(error))
    if record.key is None:
        return refuse_view(view, record, Refusal.MISSING_KEY, "the message has no key")
    return refuse_view(view, record, Refusal.KEY_MISMATCH, "the message key is not the viewer_id")


def _refuse_malformed(record: Any, text: str, message: str) -> Refused:
    found: list[str] = []
    try:
        json.loads(text, parse_constant=found.append)
    except RecursionError:
        return Refused(record, Refusal.TOO_DEEP, "nested too deeply")
    except ValueError:
        pass
    if found:
        return Refused(record, Refusal.NOT_A_NUMBER, f"{found[0]} is not a JSON number")
    return Refused(record, Refusal.NOT_JSON, message)


def _refuse_invalid(record: Any, message: str, text: str) -> Refused:
    path = message.rpartition("at `$.")[2].rstrip("`") if "at `$." in message else ""
    # msgspec quotes the offending value of an enumeration, which stays out of headers and logs.
    detail = re.sub(r"value '.*'", "value", message, flags=re.DOTALL)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return Refused(record, Refusal.TOO_DEEP, "nested too deeply")
    if not isinstance(event, dict):
        return Refused(record, Refusal.NOT_AN_OBJECT, detail)
    ids = [_readable(event.get(name)) for name in ("event_id", "campaign_id", "promoter_id")]
    schema = event.get("schema")
    if schema is not None and schema != "view/1":
        refusal = Refusal.UNKNOWN_SCHEMA
    elif "missing required field" in message:
        refusal = Refusal.MISSING_FIELD
    elif path in _IDS and "length" in message:
        refusal = Refusal.INVALID_ID
    elif path == "platform" and isinstance(event.get("platform"), str):
        refusal = Refusal.UNKNOWN_PLATFORM
    elif re.search(r"[<>]=|length|out of range", message):
        refusal = Refusal.OUT_OF_RANGE
    else:
        refusal = Refusal.WRONG_TYPE
    return Refused(record, refusal, detail, *ids)


def _readable(text: object) -> str | None:
    return text if isinstance(text, str) and len(text) <= 64 else None
