"""The whole road on real components: events in, both databases out, reconciled to zero."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.events import encode
from support.stacks import running
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.drain import drain
from pipeline.embedded.stack import start_workers
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings, settings
from schemas.topics import RAW

DATA = Path(__file__).parents[3] / "shared" / "data"
TALKINGDATA = DATA / "talkingdata-2017-11-07T1131.csv.gz"
WIKIPEDIA = DATA / "wikipedia-edits-2015-09-12-am.ndjson.gz"

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Services and workers, as `viewledger up` starts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIEWLEDGER_DATA", str(tmp_path_factory.mktemp("road")))
        settings.cache_clear()
        found = settings()
        with running(found):
            start_workers(found)
            yield found
        settings.cache_clear()


def run(*arguments: object, code: int = 0) -> Result:
    """A command as its user types it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def totals(road: Settings) -> dict[str, Any]:
    """Drains, and what `reconcile` then says; it has to agree."""
    drain(road, 240)
    found: dict[str, Any] = json.loads(run("reconcile", "--json").stdout)
    assert found["ok"], found
    return found["totals"]  # type: ignore[no-any-return]


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What was added, of the counts that are not zero."""
    counts = ("read", "accepted", "duplicates", "rejected")
    reasons = {
        name: after["rejected_by_reason"][name] - before["rejected_by_reason"].get(name, 0)
        for name in after["rejected_by_reason"]
    }
    both = {name: after[name] - before[name] for name in counts} | reasons
    return {name: count for name, count in both.items() if count}


def test_bad_events_are_rejected_each_with_its_reason(road: Settings) -> None:
    before = totals(road)
    viewer = b"viewer-0001"
    bad: list[tuple[bytes | None, bytes | None, str]] = [
        (viewer, b"{nonsense", "not_json"),
        (viewer, b'{"a":"' + b"x" * 10_000_000 + b'"}', "too_large"),
        (viewer, b"", "empty_value"),
        (viewer, None, "empty_value"),
        (None, encode(), "missing_key"),
        (b"somebody-else", encode(), "key_mismatch"),
        (viewer, encode(watch_ms=-1), "out_of_range"),
        (viewer, encode().replace(b" 9000,", b" NaN,"), "not_a_number"),
        (viewer, encode(schema="view/9"), "unknown_schema"),
        (viewer, encode(event_id="x" * 10_000), "invalid_id"),
        (viewer, b"\xff" + encode(), "invalid_utf8"),
        (viewer, b"[" * 9_000 + b"]" * 9_000, "too_deep"),
        (viewer, encode(post_id=...), "missing_field"),
        (viewer, encode(watch_ms="9"), "wrong_type"),
        (viewer, encode(campaign_id="nobody-s"), "unknown_promoter"),
        (None, None, "empty_value"),
        (b"k" * 100_000, b"x" * 30_000_000, "too_large"),  # packed, it is a small message
        (viewer, encode(schema="view/9", event_id="\ud800" * 16), "unknown_schema"),
    ]
    config = KafkaUrl.parse(road.url("kafka")).for_confluent()
    producer = Producer(config | {"message.max.bytes": 50_000_000, "compression.type": "zstd"})
    for key, value, _ in bad:
        producer.produce(RAW, value, key, 0)
    assert producer.flush(30) == 0
    added = difference(before, totals(road))
    expected: dict[str, int] = {"read": len(bad), "rejected": len(bad)}
    for _, _, reason in bad:
        expected[reason] = expected.get(reason, 0) + 1
    assert added == expected
    listed = run("rejected", "list").stdout
    assert all(reason in listed for _, _, reason in bad)


def test_rejected_events_count_once_after_a_fix(road: Settings, tmp_path: Path) -> None:
    traffic, catalogue = tmp_path / "t.ndjson.gz", tmp_path / "c.jsonl"
    run("simulate", "--events", 2000, "--seed", 5, "--out", traffic, "--catalog", catalogue)
    before = totals(road)
    run("replay", traffic)
    rejected = totals(road)
    assert "accepted" not in difference(before, rejected)
    run("campaigns", "import", catalogue)
    run("promoters", "import", catalogue)
    run("rejected", "replay", "--reason", "unknown_promoter")
    after = totals(road)
    fixed = difference(before, after)
    assert fixed["accepted"] > 1_500
    assert fixed["read"] == 2_000 + rejected["rejected_by_reason"]["unknown_promoter"]
    run("rejected", "replay", "--reason", "unknown_promoter")
    assert difference(before, totals(road))["accepted"] == fixed["accepted"]


def test_the_markers_of_a_transaction_are_holes_and_no_events(road: Settings) -> None:
    before = totals(road)
    config = KafkaUrl.parse(road.url("kafka")).for_confluent()
    producer = Producer(config | {"transactional.id": "sdk"})
    producer.init_transactions(30)
    for number in range(3):
        producer.begin_transaction()
        producer.produce(RAW, encode(event_id=f"event-in-transaction-{number}"), b"viewer-0001", 1)
        producer.commit_transaction(30)
    added = difference(before, totals(road))
    assert added["read"] == 6, "every commit leaves a marker"
    assert added["rejected"] == 3


@pytest.mark.parametrize(
    ("adapter", "file", "rows"),
    [("wikipedia", WIKIPEDIA, 19_622), ("talkingdata", TALKINGDATA, 100_000)],
)
def test_real_files_reconcile_and_replaying_them_adds_nothing(
    road: Settings, adapter: str, file: Path, rows: int
) -> None:
    if not file.exists():
        pytest.skip(f"{file.name} is not here: ../shared/data is missing")
    before = totals(road)
    run("replay", file, "--adapter", adapter, "--create-campaigns", 1_000)
    first = totals(road)
    added = difference(before, first)
    assert added["read"] == rows
    assert added["accepted"] + added.get("duplicates", 0) + added.get("rejected", 0) == rows
    assert added["accepted"] > 0.9 * rows
    run("replay", file, "--adapter", adapter)
    again = difference(first, totals(road))
    assert again.pop("read") == rows
    assert "accepted" not in again
    assert again.get("duplicates", 0) + again.get("rejected", 0) == rows
