import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from support.databases import with_database

from pipeline.listed import entities_of
from schemas.settings import Settings
from sinks import clickhouse
from sinks.migrate import migrate_up

pytestmark = pytest.mark.services


@pytest.fixture
def own(stack: Settings) -> Iterator[Settings]:
    """Settings with tables of ClickHouse that no other test looks at."""
    name = f"listed_{secrets.token_hex(4)}"
    found = stack.model_copy(update={"clickhouse": with_database(stack.url("clickhouse"), name)})
    migrate_up(found, ["clickhouse"])
    yield found
    clickhouse.connect(stack.url("clickhouse")).command(f"DROP DATABASE {name}")


def put(settings: Settings, event_id: str, **columns: Any) -> None:
    row = {
        "event_id": event_id,
        "log_time": datetime.now(UTC),
        "verdict": "held",
        "viewer_id": "viewer-0001",
        "promoter_id": "p-1",
        "screen": "390x844",
        "language": "en-GB",
        "tz_offset_min": 60,
    } | columns
    client = clickhouse.connect(settings.url("clickhouse"))
    client.insert("views", [list(row.values())], list(row))


def test_what_of_an_event_can_be_listed(own: Settings) -> None:
    put(own, "event-0000000001", user_agent="curl/8.0")
    put(own, "event-0000000002", ip="203.0.113.7", user_agent=None)
    known = {"viewer": "viewer-0001", "promoter": "p-1"}
    # The device is that of tests/models/test_operator_lists.py.
    first = known | {"ip": None, "device": "a5bdb482ca6c5126"}
    assert entities_of(own, "event-0000000001") == first
    second = known | {"ip": "203.0.113.7", "device": None}
    assert entities_of(own, "event-0000000002") == second
    assert entities_of(own, "event-0000000003") is None
