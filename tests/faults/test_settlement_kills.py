"""Whatever is killed while settlement corrects views: each is corrected once, in all places.

One seed again: pytest tests/faults/test_settlement_kills.py --seed 17
"""

import random
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest
from support.finance import Finance, owner
from support.payouts import money
from support.settlement import PROMOTER, Log, stored_log
from support.stores import empty_store

from schemas.settings import Settings
from sinks import clickhouse, correct_views
from sinks.ledger_verify import verify_ledger
from sinks.reconcile import reconcile

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
        ends = {
            partition: (0, end)
            for partition, end in client.query(
                "SELECT partition, max(raw_next) FROM blocks GROUP BY partition"
            ).result_rows
        }
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


def test_killed_at_every_step(store: Settings, log: Log, tmp_path: Path) -> None:
    finance, words = finance_of(store, tmp_path, log)

    def sound() -> None:
        with owner(store) as conn:
            assert verify_ledger(conn) == []

    _, kills = finance.at_every_statement(*words, check=sound)
    assert wrong(store, tmp_path, log) == []
    print(f"killed {kills} times")
    assert kills > 20


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
