"""A real collector in front of the shared services, with keys that fit its tests."""

import time
from collections.abc import Iterator

import httpx
import pytest
from support.door import ORIGIN, Keys

from pipeline.collector.endpoint import collector_url
from pipeline.collector.seal_keys import collector_keys
from pipeline.embedded.stack import start_workers, stop_workers
from schemas.settings import Settings
from sinks import postgres
from sinks.api_keys import create_key


@pytest.fixture(scope="session")
def keys(stack: Settings) -> Keys:
    seal_keys = collector_keys(stack)
    with postgres.connect(stack) as conn:
        page = create_key(
            conn, seal_keys, "publishable", name="page", actor="tests", origins=[ORIGIN]
        )
        server = create_key(conn, seal_keys, "secret", name="server", actor="tests")
    return Keys(page.text, server.text)


@pytest.fixture(scope="session")
def collector(stack: Settings, keys: Keys) -> Iterator[str]:
    """The URL of a collector that knows `keys`."""
    start_workers(stack, ["collector-0"])
    url = collector_url(stack)
    try:
        wait_until_ready(url)
        yield url
    finally:
        stop_workers(stack, ["collector-0"])


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"{url} did not become ready")
