"""What is sent while ClickHouse still has the statement before it waits for its turn."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from support.blocks import START, block
from support.stores import empty_store
from tenacity import stop_after_delay

from schemas.fencing import Stamp
from schemas.settings import Settings
from sinks.clickhouse import Client, connect
from sinks.store import insert_block
from sinks.turns import in_turn

pytestmark = pytest.mark.services

ROWS = 10


@pytest.fixture
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse")


@pytest.fixture
def client(store: Settings) -> Iterator[Client]:
    with connect(store.url("clickhouse")) as found:
        yield found


@contextmanager
def busy(store: Settings, seconds: float) -> Iterator[None]:
    """Somebody else has the turn of partition 0 for so long."""
    running = "SELECT count() FROM system.processes WHERE query_id = 'viewledger-store-0'"
    with connect(store.url("clickhouse")) as other, connect(store.url("clickhouse")) as look:
        settings = {"query_id": "viewledger-store-0"}
        patient = in_turn.copy(stop=stop_after_delay(30))
        query = f"SELECT sleep({seconds})"
        sleeping = threading.Thread(target=lambda: patient(other.query, query, settings=settings))
        sleeping.start()
        while sleeping.is_alive() and not look.command(running):
            pass
        yield
        sleeping.join()


def put(client: Client, number: int) -> None:
    first = number * ROWS
    stamp = Stamp("block", "w", 1, first, first + ROWS)
    insert_block(client, 0, number + 1, START, stamp, block(first, ROWS))


def test_a_block_waits_for_its_turn(client: Client, store: Settings) -> None:
    for number in range(2):  # the first is proven, the second only inserted
        with busy(store, 1):
            put(client, number)
    assert client.command("SELECT count() FROM views") == 2 * ROWS


def test_it_does_not_wait_for_ever(
    client: Client, store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(in_turn, "stop", stop_after_delay(0.1))
        with busy(store, 3), pytest.raises(DatabaseError, match="already running"):
            put(client, 0)
    put(client, 0)
    assert client.command("SELECT count() FROM views") == ROWS
