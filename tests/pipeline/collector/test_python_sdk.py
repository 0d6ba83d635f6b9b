"""The Python SDK and `replay --via http` in front of the real collector and Kafka."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from support.door import ORIGIN, Keys, raw_messages
from support.sdk_clients import VIEW
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.replay.post import Door
from pipeline.replay.replay import replay_file
from pipeline.simulate.simulate import simulate
from schemas.settings import Settings, settings
from viewledger_sdk import AsyncClient, Client

TIMES = ("occurred_at", "sent_at", "received_at")
pytestmark = pytest.mark.services


def test_a_server_sends_and_learns_what_was_rejected(stack, collector: str, keys: Keys) -> None:
    told = []
    with Client(collector, keys.server, on_problem=told.append) as client:
        good = [client.track(VIEW, ip="203.0.113.9") for _ in range(1_000)]
        bad = client.track({**VIEW, "platform": "myspace"})
        client.forward(b"{nonsense")
        assert client.flush(30)
        assert client.counts.accepted == 1_000
    assert sorted((one.event_id or "", one.reason) for one in told) == [
        ("", "not_json"),
        (bad, "unknown_platform"),
    ]
    found = [json.loads(message.value()) for message in raw_messages(stack, {*good, bad})]
    assert sorted(event["event_id"] for event in found) == sorted(good)
    assert all(event["ip_hash"] for event in found)


def test_a_page_key_by_the_asynchronous_client(stack, collector: str, keys: Keys) -> None:
    async def send() -> list[str]:
        async with AsyncClient(collector, keys.page, origin=ORIGIN) as client:
            # As many viewers, for one alone would be a flood.
            ids = [client.track(VIEW, viewer_id=f"viewer-{i:06}") for i in range(300)]
            assert await client.flush(30)
            assert client.counts.accepted == 300, client.counts
        return ids

    ids = asyncio.run(send())
    assert len(raw_messages(stack, set(ids))) == 300


def test_a_wrong_secret_is_given_up_and_told(collector: str, keys: Keys) -> None:
    told = []
    wrong = keys.server[:-1] + ("A" if keys.server[-1] != "A" else "B")
    with Client(collector, wrong, on_problem=told.append) as client:
        client.track(VIEW)
        assert client.flush(30)
    assert [(one.reason, one.status) for one in told] == [("signature", 401)]


def test_a_file_through_the_door(stack: Settings, collector, keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    simulate(3_000, 33, path)
    with path.open("ab") as file:
        file.write(b"\n{nonsense\n[1]\n")
    lines = path.read_bytes().splitlines()
    door = Door(collector, keys.server)
    first = replay_file(stack, path, create_campaigns=1_500, door=door)
    assert first.read == len(lines) == first.sent + first.rejected.total()
    assert first.failed == Counter()
    assert first.rejected["not_an_object"] >= 1
    events = [json.loads(line) for line in lines if line.startswith(b'{"schema":"view/1"')]
    wanted = {event["event_id"] for event in events if type(event.get("event_id")) is str}
    messages = [json.loads(one.value()) for one in raw_messages(stack, wanted)]
    assert len(messages) == first.sent
    # As through Kafka: all times moved by as much, so that the judge sees the same delays.
    moved = {tuple(event.get(name) for name in TIMES) for event in events}
    for one in messages:
        assert tuple(one[name] - first.shift_ms for name in TIMES) in moved
    again = replay_file(stack, path, door=door)
    assert (again.shift_ms, again.repeated, again.rejected) == (
        first.shift_ms, True, first.rejected
    )  # fmt: skip


def test_on_the_command_line(stack, collector, keys: Keys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    settings.cache_clear()
    path = tmp_path / "events.ndjson"
    simulate(300, 34, path)
    command = ["replay", str(path), "--via", "http", "--create-campaigns", "1000"]
    try:
        without = CliRunner().invoke(app, command)
        assert isinstance(without.exception, Problem)
        assert "viewledger keys create --secret" in str(without.exception)
        done = CliRunner().invoke(app, command, env={"VIEWLEDGER_KEY": keys.server})
    finally:
        settings.cache_clear()
    assert done.exit_code == 0, done.exception
    assert "events read 300" in " ".join(done.output.split())
    assert keys.server not in done.output
