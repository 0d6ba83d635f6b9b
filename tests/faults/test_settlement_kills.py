"""Whatever is killed while settlement corrects views: each is corrected once, in all places.

One seed again: pytest tests/faults/test_settlement_kills.py --seed 17
"""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from support.blocks import START
from support.finance import Finance, owner
from support.payouts import money
from support.settlement import PROMOTER, Log, stored_log
from support.stores import empty_store

from pipeline.erase.messages import read
from pipeline.offsets import topic_ranges
from schemas.settings import Settings
from schemas.topics import CORRECTIONS
from sinks import clickhouse, correct_views
from sinks.ledger_verify import verify_ledger
from sinks.reconcile import reconcile

HOURS = 3
KILLS = 6
STEPS = 60
"""Of about as many that judging three hours again takes."""

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture
def log(store: Settings, fault_seed: int) -> Log:
    """Views that are stored and booked, and what settlement has against and for some of them."""
    return stored_log(store, random.Random(fault_seed))


def finance_of(store: Settings, folder: Path, log: Log) -> tuple[Finance, tuple[object, ...]]:
    """Who settles, and what the command is."""
    env = {"VIEWLEDGER_CLICKHOUSE": store.url("clickhouse"), "VIEWLEDGER_DATA": str(store.data)}
    changes = folder / "changes"
    log.save(changes)
    return Finance(store, env, folder), ("settle-views", changes, folder / "sent")


def wrong(store: Settings, folder: Path, log: Log) -> list[str]:
    """What is not as it would be if nothing had been killed."""
    found = []
    with owner(store) as conn, clickhouse.connect(store.url("clickhouse")) as client:
        ends = ends_of(client)
        found += [f"ledger: {one}" for one in verify_ledger(conn)]
        found += [f"reconcile: {one}" for one in reconcile(client, conn, ends).differences]
        rows = client.query("SELECT event_id, became FROM corrections FINAL").result_rows
        if Counter(row[0] for row in rows) != Counter(one.event_id for one in log.changes):
            found.append("corrections are not once in ClickHouse")
        sent = set((folder / "sent").read_text().split())
        if sent != {row[0] for row in rows}:
            found.append("corrections are missing in the topic")
        if money(conn, PROMOTER) != {"promoter_payable": log.released}:
            found.append(f"{money(conn, PROMOTER)} and not {log.released} micros")
    return found


def ends_of(client: clickhouse.Client) -> dict[int, tuple[int, int]]:
    """As if nothing else were in views.raw."""
    rows = client.query("SELECT partition, max(raw_next) FROM blocks GROUP BY partition")
    return {partition: (0, end) for partition, end in rows.result_rows}


def test_killed_at_every_step(store: Settings, log: Log, tmp_path: Path) -> None:
    finance, words = finance_of(store, tmp_path, log)

    def sound() -> None:
        with owner(store) as conn:
            assert verify_ledger(conn) == []

    _, kills = finance.at_every_statement(*words, check=sound)
    assert wrong(store, tmp_path, log) == []
    print(f"killed {kills} times")
    assert kills > 20


def corrections(store: Settings) -> list[tuple[object, ...]]:
    """All of the ledger, without their numbers and times."""
    with owner(store) as conn:
        return conn.execute(
            "SELECT partition, raw_offset, was, became, became_reasons, paid_micros, note"
            " FROM view_corrections ORDER BY partition, raw_offset"
        ).fetchall()


def test_judging_again_is_killed_at_random_steps(
    stack: Settings, tmp_path: Path, fault_seed: int
) -> None:
    chance = random.Random(fault_seed)
    until = datetime.fromtimestamp(START / 1000, UTC) + timedelta(hours=HOURS + 2)
    words = ("judge-again", until.isoformat())

    def judged(kills: int) -> tuple[Settings, list[str]]:
        """A log of its own that was judged again, by a process that was killed at most so often."""
        store = empty_store(stack, "clickhouse", "postgres")
        finance, _ = finance_of(store, tmp_path, stored_log(store, random.Random(1), HOURS))
        return store, finance.killed_at_steps(*words, chance=chance, kills=kills, steps=STEPS)

    whole, _ = judged(0)
    sent_before = topic_ranges(stack, CORRECTIONS)
    store, steps = judged(KILLS)
    print(f"seed {fault_seed}: killed at {steps}")
    assert corrections(store) == corrections(whole) != []
    sent = {
        (partition, msgspec.json.decode(one.value or b"")["event_id"])
        for partition, (_, end) in sent_before.items()
        for one in read(stack, CORRECTIONS, partition)
        if one.offset >= end
    }
    with owner(store) as conn, owner(whole) as other:
        assert money(conn, PROMOTER) == money(other, PROMOTER)
        rows = conn.execute("SELECT partition, event_id FROM view_corrections").fetchall()
        assert sent == set(rows)
        with clickhouse.connect(store.url("clickhouse")) as client:
            assert reconcile(client, conn, ends_of(client)).differences == []


def forget() -> None:
    """A settlement that does not look at what was corrected before."""
    patch.object(correct_views, "already", lambda conn, changes, why: list(changes)).start()


def lose() -> None:
    """A follower that forgets to send what it inserts."""
    patch("support.finance_child.append", lambda path, rows: None).start()


def test_a_second_correction_is_refused_by_the_database(store: Settings, tmp_path: Path) -> None:
    finance, words = finance_of(store, tmp_path, stored_log(store, random.Random(1)))
    for expected in (0, 1):
        process = finance.start(*words, patch=forget)
        process.join()
        assert process.exitcode == expected
    assert "corrected_once" in (tmp_path / "said.txt").read_text()


def test_a_loss_would_be_seen(store: Settings, tmp_path: Path) -> None:
    log = stored_log(store, random.Random(1))
    (tmp_path / "sent").touch()
    finance, words = finance_of(store, tmp_path, log)
    finance.start(*words, patch=lose).join()
    assert wrong(store, tmp_path, log) == ["corrections are missing in the topic"]
