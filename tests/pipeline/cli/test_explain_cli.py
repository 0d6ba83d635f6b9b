"""`viewledger explain` and `models shadow`: from events through score and store to words."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.catalogue import CATALOGUE, HOUR, FixedCatalogue
from support.events import encode, record
from support.registry import save_small
from support.shared import LocalShared
from support.stores import empty_store
from typer.testing import CliRunner, Result

from models.features import NAMES
from models.judge import Judge
from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.score.admit import Clock
from pipeline.score.state import empty_state
from pipeline.score.steps import Tools, score
from schemas.block import decode_block
from schemas.chosen import Chosen
from schemas.fencing import Stamp
from schemas.settings import Settings, settings
from sinks.clickhouse import connect
from sinks.store import insert_block

pytestmark = pytest.mark.services

Run = Callable[..., Result]
NOW = int(time.time() * 1000) - 60_000
PERSON = {"user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def store(stack: Settings, folder: Path) -> Settings:
    """Three views, a bot's among them, judged with a shadow that takes all of them for bots'."""
    found = empty_store(stack, "clickhouse", "postgres")
    shadow = save_small(folder, "strict", 1, threshold=0.0001)
    judge = Judge("champion", folder)
    asyncio.run(judge.follow(Chosen((), (shadow,), 1)))
    clock = Clock(late_ms=24 * HOUR, future_ms=300_000)
    endless = replace(CATALOGUE.campaigns["c-1"], ends_at=datetime(2099, 1, 1, tzinfo=UTC))
    catalogue = FixedCatalogue(replace(CATALOGUE, campaigns={"c-1": endless}))
    tools = Tools(catalogue, judge, LocalShared(), clock, asyncio.Lock())  # type: ignore[arg-type]
    events = [
        {"event_id": "event-of-a-person", **PERSON},
        {"event_id": "event-of-a-crawler", "user_agent": "Googlebot/2.1"},
        {"event_id": "event-too-short-", "watch_ms": 100, **PERSON},
        {"event_id": "event-refused----", "campaign_id": "unheard-of"},
    ]
    records = [
        record(
            encode(**event, occurred_at=NOW, sent_at=NOW, viewer_id=f"viewer-000{i}"),
            key=f"viewer-000{i}".encode(),
            offset=i,
            timestamp=NOW,
        )
        for i, event in enumerate(events)
    ]
    made = asyncio.run(score(records, 0, empty_state(27), tools))
    with connect(found.url("clickhouse")) as client:
        stamp = Stamp("block", "w", 1, 0, len(records))
        insert_block(client, 0, 1, NOW, stamp, decode_block(made.value))
    return found


@pytest.fixture
def run(store: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    for name in ("clickhouse", "postgres"):
        monkeypatch.setenv(f"VIEWLEDGER_{name.upper()}", store.url(name))  # type: ignore[arg-type]
    monkeypatch.setenv("VIEWLEDGER_DATA", str(store.data))
    monkeypatch.setenv("VIEWLEDGER_MODELS", str(folder))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, list(words))
    settings.cache_clear()


def test_explains_in_words(run: Run) -> None:
    said = run("explain", "event-of-a-crawler", "--top", "3").stdout
    assert said.startswith("Event event-of-a-crawler: invalid\n")
    assert "declared_bot (general invalid traffic): the user agent is that of" in said
    assert "model champion-" in said
    assert "shadow strict-1: " in said
    assert f"the other {len(NAMES) - 3}" in said
    assert "Note" not in said


def test_explains_as_json(run: Run) -> None:
    done = run("explain", "event-too-short-", "--json")
    (found,) = json.loads(done.stdout)["views"]
    assert found["why"][0]["reason"] == "below_min_watch"
    assert found["problem"] == ""
    known = {part["feature"]: part["value"] for part in found["parts"]}
    assert known["watch_s"] == pytest.approx(0.1)
    total = found["base"] + sum(part["contribution"] for part in found["parts"])
    assert total == pytest.approx(found["raw_score"])


def test_an_event_that_was_refused_or_never_came(run: Run) -> None:
    assert "refused at " in run("explain", "event-refused----").stdout
    done = run("explain", "nothing")
    assert isinstance(done.exception, Problem)
    assert "no event 'nothing'" in str(done.exception)


@pytest.mark.parametrize("words", [["shadow"], ["shadow", "report"]])
def test_the_difference_a_shadow_makes(run: Run, words: list[str]) -> None:
    done = run("models", *words, "--since", "2026-01-01")
    assert "strict-1, 3 views of 1 promoters:" in done.stdout
    assert "would have moved 0.002500 EUR across 1 promoters: 0.002500 EUR not paid" in done.stdout
    found = json.loads(run("models", *words, "--since", "2026-01-01", "--json").stdout)
    assert [one["denied_views"] for one in found["strict-1"]] == [1]
    assert "No shadow" in run("models", *words, "--since", "2099-01-01").stdout


def test_help_where_nothing_is_asked(run: Run) -> None:
    done = run("models", "shadow")
    assert done.exit_code == 2
    assert "report" in done.stdout
