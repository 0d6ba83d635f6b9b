"""Services come up, answer, are restarted with their data, and leave nothing behind."""

import pytest

from pipeline.embedded.stack import processes
from schemas.settings import SERVICES, Settings


@pytest.mark.services
def test_every_service_runs_and_no_worker(stack: Settings) -> None:
    running = {process.name for process in processes(stack) if process.state == "RUNNING"}
    assert running == set(SERVICES)
