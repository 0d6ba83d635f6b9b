"""Step 1: bytes to views, each event that is not one with its reason."""

import re
from collections.abc import Sequence
from itertools import compress
from typing import Any

import msgspec

from pipeline.score.refuse import Refused, find_out, refuse_view
from schemas.verdicts import Refusal
from schemas.view import EVENT_ID_PATTERN, MAX_EVENT_BYTES, View

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
    # What is almost never wrong is checked for the whole block at once.
    if (
        [view.viewer_id.encode() for view in views] != [record.key for record in kept]
        or max((len(record.value) for record in kept), default=0) > MAX_EVENT_BYTES
        or not _event_id_characters("".join([view.event_id for view in views]))
    ):
        _check_one_by_one(views, kept, refused)
    return views, kept, refused


def _check_one_by_one(views: list[View], kept: list[Any], refused: list[Refused]) -> None:
    pairs = list(zip(views, kept, strict=True))
    views.clear()
    kept.clear()
    for view, record in pairs:
        if record.key != view.viewer_id.encode() or len(record.value) > MAX_EVENT_BYTES:
            refused.append(find_out(record))
        elif not _event_id_characters(view.event_id):
            detail = "event_id has characters other than A-Z a-z 0-9 _ -"
            refused.append(refuse_view(view, record, Refusal.INVALID_ID, detail))
        else:
            views.append(view)
            kept.append(record)
