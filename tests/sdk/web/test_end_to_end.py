"""From a page in a real Chromium to a row in ClickHouse: real collector, Kafka, workers."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import httpx
import pytest
from playwright.sync_api import BrowserContext, Page
from support.browser import (
    Site,
    begin,
    left_at,
    near,
    play,
    serve,
    stored,
    told,
    until,
    wake_the_queue,
)
from support.stacks import running
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.collector.endpoint import collector_url
from pipeline.drain import drain
from pipeline.embedded.stack import start_workers, stop_workers
from schemas.settings import Settings, settings

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


class Door(NamedTuple):
    """A site, and the collector that lets its pages in."""

    settings: Settings
    site: str
    url: str
    key: str


@pytest.fixture
def door(bundle: Path, tmp_path: Path) -> Iterator[Door]:
    """What a newcomer has after the steps of docs/sdk.md."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIEWLEDGER_DATA", str(tmp_path / "data"))
        settings.cache_clear()
        found = settings()
        with running(found):
            start_workers(found)
            catalogue(tmp_path / "catalogue.jsonl")
            for site in serve(Site):
                key = run("keys", "create", "--publishable", "--name", "site", "--origin", site)
                url = collector_url(found)
                wait_until_known(url, site, key)
                yield Door(found, site, url, key)
        settings.cache_clear()


def run(*arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def catalogue(path: Path) -> None:
    now = datetime.now(UTC)
    campaign = {
        "campaign_id": "c-1",
        "currency": "EUR",
        "rate_micros": 2_500,
        "budget_micros": 10**9,
        "starts_at": (now - timedelta(days=1)).isoformat(),
        "ends_at": (now + timedelta(days=1)).isoformat(),
        "status": "active",
    }
    promoter = {"promoter_id": "p-1", "status": "active"}
    path.write_text(f"{json.dumps(campaign)}\n{json.dumps(promoter)}\n")
    run("campaigns", "import", str(path))
    run("promoters", "import", str(path))


def wait_until_known(url: str, site: str, key: str) -> None:
    """An empty batch is wrong, but the key is right."""
    end = time.monotonic() + 30
    status = None
    while status != 400:
        assert time.monotonic() < end, status
        time.sleep(0.2)
        try:
            headers = {"Origin": site, "Content-Type": "text/plain"}
            answer = httpx.post(f"{url}/v1/views?key={key}", content=b"[]", headers=headers)
            status = answer.status_code
        except httpx.TransportError:
            status = None


def rows(found: Settings) -> list[dict[str, Any]]:
    """Every view in ClickHouse."""
    with clickhouse_connect.get_client(dsn=found.url("clickhouse")) as client:
        return list(client.query("SELECT * FROM views ORDER BY occurred_at").named_results())


def test_every_view_arrives_exactly_once_with_its_watch_time(
    door: Door, chromium: BrowserContext, tab: Callable[[str], Page]
) -> None:
    expected: list[tuple[str, float]] = []

    def fresh(post: str, film: int = 60) -> Page:
        page = tab(f"{door.site}/page.html")
        begin(page, door.url, film, key=door.key)
        page.evaluate("post => { window.handle = follow(video, { post }) }", post)
        return page

    def watched(page: Page, post: str, before: float = 0) -> float:
        progress: float = page.evaluate("progress")
        expected.append((post, progress - before))
        return progress

    # Played to its end, with a pause.
    page = fresh("played", film=3)
    play(page, 1000)
    page.evaluate("video.pause()")
    page.wait_for_timeout(300)
    page.evaluate("video.play()")
    page.wait_for_function("video.ended")
    watched(page, "played")
    until(lambda: told(page)["accepted"], "no 202", page)
    page.close()

    # Hidden, and shown again.
    page = fresh("hidden")
    play(page, 1200)
    other = tab(f"{door.site}/elsewhere")
    other.wait_for_timeout(800)
    before = watched(page, "hidden")
    page.bring_to_front()
    play(page, 1000)

    # Reloaded in the middle, and closed in the middle.
    page.reload()
    expected.append(("hidden", left_at(page) - before))
    begin(page, door.url, key=door.key)
    page.evaluate("follow(video, { post: 'closed' })")
    play(page, 1500)
    page.close()

    # Offline when it is over, and back.
    page = fresh("offline")
    expected.append(("closed", left_at(page)))
    play(page, 800)
    chromium.set_offline(True)
    play(page, 800)
    page.evaluate("handle.stop()")
    watched(page, "offline")
    page.wait_for_timeout(500)
    assert told(page)["accepted"] == []
    chromium.set_offline(False)
    until(lambda: told(page)["accepted"], "not sent once the network was back", page)
    page.close()

    # The collector is away when it is over.
    stop_workers(door.settings, ["collector-0"])
    page = fresh("restart")
    play(page, 800)
    page.evaluate("handle.stop()")
    watched(page, "restart")
    page.wait_for_timeout(500)
    assert len(stored(page)) >= 1
    start_workers(door.settings, ["collector-0"])

    # The next page asks again for what it has no answer to.
    page.reload()
    begin(page, door.url, key=door.key)
    deadline = time.monotonic() + 30
    while stored(page):
        assert time.monotonic() < deadline, stored(page)
        wake_the_queue(page)
        page.wait_for_timeout(500)
    assert told(page)["problems"] == []

    drain(door.settings, 60)
    found = rows(door.settings)
    assert len({row["event_id"] for row in found}) == len(found)
    assert [row["post_id"] for row in found] == [post for post, _ in expected]
    for row, (_, progress) in zip(found, expected, strict=True):
        near(row["watch_ms"], progress)
    assert len({row["viewer_id"] for row in found}) == 1
    played = found[0]
    assert played["duration_ms"] == 3000
    assert played["visible_pct"] == 100
    assert "Chrome" in played["user_agent"]
    assert played["session_id"] != found[-1]["session_id"], "tabs are sessions"
