"""Rebasing: a file from the past is moved so that it ends now, and always by as much."""

import time
from typing import Any

from pipeline.replay.survey import Survey
from schemas.view import LAST_MS
from sinks.postgres import Connection

_TIMES = ("occurred_at", "sent_at", "received_at")


def remembered_shift(conn: Connection, adapter: str, survey: Survey) -> tuple[int, bool]:
    """By how many ms the file is moved, and whether it was replayed before.

    The shift is decided once, when the file is first seen, and kept: so a second replay has
    the very same events, which are refused as duplicates, or as too late.
    """
    shift = 0 if survey.last_ms is None else int(time.time() * 1000) - survey.last_ms
    with conn.transaction():
        added = conn.execute(
            "INSERT INTO replays (sha256, adapter, shift_ms, events) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (survey.sha256, adapter, shift, survey.events),
        ).rowcount
        row = conn.execute(
            "SELECT shift_ms FROM replays WHERE sha256 = %s AND adapter = %s",
            (survey.sha256, adapter),
        ).fetchone()
    assert row is not None
    return row[0], not added


def move(event: dict[str, Any], shift_ms: int) -> None:
    """Moves the times of an event; what is not a possible time stays as it is."""
    for name in _TIMES:
        value = event.get(name)
        if type(value) is int and 0 <= value <= LAST_MS:
            event[name] = value + shift_ms
