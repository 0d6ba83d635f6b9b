"""Small builders of events and Kafka records."""

import json
from types import SimpleNamespace
from typing import Any

NOW = 1_790_000_000_000
VALID = {
    "schema": "view/1",
    "event_id": "event-0000000000001",
    "campaign_id": "c-1",
    "promoter_id": "p-1",
    "post_id": "post-1",
    "platform": "tiktok",
    "viewer_id": "viewer-0001",
    "session_id": "session-001",
    "occurred_at": NOW,
    "sent_at": NOW,
    "watch_ms": 9_000,
    "duration_ms": 15_000,
    "visible_pct": 100,
}


def event(**changes: Any) -> dict[str, Any]:
    """A valid event with changes; `...` leaves a field out."""
    return {name: value for name, value in (VALID | changes).items() if value is not ...}


def encode(**changes: Any) -> bytes:
    """The bytes of `event(**changes)`."""
    return json.dumps(event(**changes)).encode()


def record(
    value: bytes | None,
    *,
    key: bytes | None = b"viewer-0001",
    offset: int = 0,
    timestamp: int = NOW,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Any:
    """What aiokafka hands out for a message."""
    return SimpleNamespace(
        value=value, key=key, offset=offset, timestamp=timestamp, headers=headers
    )
