"""Services for one test alone, because it kills them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stacks import running

from schemas.settings import Settings


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Settings]:
    """Services with topics and tables; workers get small blocks and frequent snapshots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIEWLEDGER_BLOCK_ROWS", "500")
        patch.setenv("VIEWLEDGER_SNAPSHOT_SECONDS", "2")
        patch.setenv("VIEWLEDGER_STALL_SECONDS", "30")
        with running(Settings(data=tmp_path / "data", workers=2)) as found:
            yield found
