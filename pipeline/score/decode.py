"""Step 1: bytes to views, each event that is not one with its reason."""

import re
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import msgspec

from pipeline.score.refuse import Refused, find_out, refuse_view
from schemas.verdicts import Refusal
from schemas.view import EVENT_ID_PATTERN, MAX_EVENT_BYTES, View

Refuse = Callable[[View, Any], Refused]

_decode = msgspec.json.Decoder(View).decode
_event_id_characters = re.compile(EVENT_ID_PATTERN).fullmatch


def decode(records: Sequence[Any]) -> tuple[list[View], list[Any], list[Refused]]:
    """Decodes and validates every record by itself.

    Args:
        records: with `offset`, `timestamp`, `key`, `value` and `headers`.

    Returns:
        The views, their records (same length), and the refused events.
    """
    views: list[View] = []
    refused: list[Refused] = []
    good = [True] * len(records)
    for row, value in enumerate([record.value for record in records]):
        try:
            views.append(_decode(value))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            good[row] = False
    kept = list(records)
    if len(views) < len(records):
        refused = [find_out(r) for r, fine in zip(records, good, strict=True) if not fine]
        kept = list(compress(records, good))
    if wrong := _wrong(views, kept):
        refused += [refusal(views[row], kept[row]) for row, refusal in sorted(wrong.items())]
        fine = [row not in wrong for row in range(len(views))]
        views, kept = list(compress(views, fine)), list(compress(kept, fine))
    return views, kept, refused


def _wrong(views: list[View], records: list[Any]) -> dict[int, Refuse]:
    """What the decoder does not check, by row. Each check looks at the block as a whole first."""
    wrong: dict[int, Refuse] = {}
    ids = [view.event_id for view in views]
    if not _event_id_characters("".join(ids)):
        bad = (row for row, text in enumerate(ids) if not _event_id_characters(text))
        wrong |= dict.fromkeys(bad, _refuse_id)
    values = [record.value for record in records]
    if max(map(len, values), default=0) > MAX_EVENT_BYTES:
        large = (row for row, value in enumerate(values) if len(value) > MAX_EVENT_BYTES)
        wrong |= dict.fromkeys(large, _refuse_record)
    viewers = [view.viewer_id.encode() for view in views]
    keys = [record.key for record in records]
    if viewers != keys:
        strange = (row for row, key in enumerate(keys) if key != viewers[row])
        wrong |= dict.fromkeys(strange, _refuse_record)
    return wrong


def _refuse_id(view: View, record: Any) -> Refused:
    detail = "event_id has characters other than A-Z a-z 0-9 _ -"
    return refuse_view(view, record, Refusal.INVALID_ID, detail)


def _refuse_record(_view: View, record: Any) -> Refused:
    return find_out(record)
