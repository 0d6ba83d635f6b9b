"""Why an event is not accepted: the slow path, bad events only."""

import json
import re
from typing import Any, NamedTuple

import msgspec

from schemas.verdicts import Refusal
from schemas.view import MAX_EVENT_BYTES, View

_IDS = ("event_id", "campaign_id", "promoter_id", "post_id", "viewer_id", "session_id")
_decode = msgspec.json.Decoder(View).decode


class Refused(NamedTuple):
    """An event that was not accepted."""

    record: Any
    """As it was read: with `offset`, `timestamp`, `key`, `value`, `headers`."""
    refusal: Refusal
    detail: str
    """What was wrong, without any value of the event."""
    event_id: str | None = None
    campaign_id: str | None = None
    promoter_id: str | None = None


def refuse_view(view: View, record: Any, refusal: Refusal, detail: str) -> Refused:
    """Refuses an event that could be read."""
    return Refused(record, refusal, detail, view.event_id, view.campaign_id, view.promoter_id)


def find_out(record: Any) -> Refused:
    """Why a record is not an acceptable view."""
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
    elif re.search(r"[<>]=|length|out of range|enum value", message):
        refusal = Refusal.OUT_OF_RANGE
    else:
        refusal = Refusal.WRONG_TYPE
    return Refused(record, refusal, detail, *ids)


def _readable(text: object) -> str | None:
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None  # half of a surrogate pair, which json.loads lets through
    return text
