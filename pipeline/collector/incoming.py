"""The events of a body, decoded; each that is none with its reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from pipeline.collector.body import check_count, split
from pipeline.score.refuse import find_out
from schemas.verdicts import Refusal
from schemas.view import EVENT_ID_PATTERN, View


class Incoming(View, omit_defaults=True, kw_only=True):
    """A view on its way in: what the collector knows is added in place."""


class Rejected(msgspec.Struct):
    """An event that was turned away, as the answer has it."""

    index: int
    """Place in the body, from 0."""
    event_id: str | None
    reason: str
    detail: str


@dataclass
class Batch:
    """The events of one request."""

    events: list[Incoming]
    places: list[int]
    """Of the events in the body."""
    rejected: list[Rejected] = field(default_factory=list)

    def turn_away(self, bad: Sequence[bool], reason: str, detail: str) -> None:
        """Moves the events that are `bad`, one flag each, to `rejected`."""
        if not any(bad):
            return
        rows = list(zip(self.events, self.places, bad, strict=True))
        for event, place, is_bad in rows:
            if is_bad:
                self.rejected.append(Rejected(place, event.event_id, reason, detail))
        self.events = [event for event, _, is_bad in rows if not is_bad]
        self.places = [place for _, place, is_bad in rows if not is_bad]


class _Record(NamedTuple):
    """As `pipeline.score.refuse` wants to see an event."""

    value: bytes
    key: bytes = b""


_decode_many = msgspec.json.Decoder(list[Incoming]).decode
_decode_one = msgspec.json.Decoder(Incoming).decode
_event_id_characters = re.compile(EVENT_ID_PATTERN).fullmatch
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def decode(body: bytes, lines: bool) -> Batch:
    """The events of a body: an object, an array, or with `lines` NDJSON.

    Raises:
        ProblemError: the body as a whole is wrong.
    """
    batch = _decode_each(split(body, lines=True)) if lines else _decode_array(body)
    check_count(len(batch.events) + len(batch.rejected))
    if not _event_id_characters("".join([event.event_id for event in batch.events])):
        bad = [not _event_id_characters(event.event_id) for event in batch.events]
        detail = "event_id has characters other than A-Z a-z 0-9 _ -"
        batch.turn_away(bad, Refusal.INVALID_ID.label, detail)
    return batch


def _decode_array(body: bytes) -> Batch:
    try:
        events = _decode_many(body)
    except _UNREADABLE:
        return _decode_each(split(body, lines=False))
    return Batch(events, list(range(len(events))))


def count_ahead(body: bytes) -> int:
    """How many events a body holds, told from its bytes: at least 1.

    Right for what SDKs send. Who writes the name of the field with escapes is counted too low.
    """
    return max(1, body.count(b'"occurred_at"'))


def _decode_each(raw: list[bytes]) -> Batch:
    check_count(len(raw))
    batch = Batch([], [])
    for place, value in enumerate(raw):
        try:
            batch.events.append(_decode_one(value))
            batch.places.append(place)
        except _UNREADABLE:
            found = find_out(_Record(value))
            batch.rejected.append(
                Rejected(place, found.event_id, found.refusal.label, found.detail)
            )
    return batch
