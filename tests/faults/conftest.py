"""Services for one test alone, because it kills them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.stack import start_services, stop
from pipeline.topics import ensure_topics
from schemas.settings import Settings
from sinks.migrate import migrate_up


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Settings]:
    """Services with topics and tables; workers get small blocks and frequent snapshots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIEWLEDGER_BLOCK_ROWS", "500")
        patch.setenv("VIEWLEDGER_SNAPSHOT_SECONDS", "2")
        patch.setenv("VIEWLEDGER_STALL_SECONDS", "30")
        found = Settings(data=tmp_path / "data", workers=2)
        try:
            start_services(found)
            ensure_topics(found)
            migrate_up(found)
            yield found
        finally:
            stop(found)
