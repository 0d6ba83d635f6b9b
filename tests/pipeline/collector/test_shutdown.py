"""What a collector has promised holds when it ends, and when a service is away; it comes back."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support.door import ORIGIN, Keys, fresh, raw_messages, send_as_page
from support.forwarder import Forwarder
from support.own_collector import OwnCollector, frozen, own_collector, until

from pipeline.collector.capacity import REQUEST_BYTES
from pipeline.embedded.stack import processes
from schemas.settings import Settings

pytestmark = pytest.mark.services
REQUESTS = 20


@pytest.fixture
def mine(stack: Settings, keys: Keys, tmp_path: Path) -> Iterator[OwnCollector]:
    with own_collector(stack, tmp_path) as found:
        until(lambda: found.status("/readyz") == 200)
        yield found


@pytest.fixture
def patient(stack: Settings, keys: Keys, tmp_path: Path) -> Iterator[OwnCollector]:
    """Waits long enough for all that a test does meanwhile."""
    with own_collector(stack, tmp_path, collector_timeout_s=15) as found:
        until(lambda: found.status("/readyz") == 200)
        yield found


def reason(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


def test_what_is_under_way_is_finished_and_what_was_answered_is_kept(
    stack: Settings, patient: OwnCollector, keys: Keys
) -> None:
    slow, *sent = [fresh(number) for number in range(REQUESTS + 1)]
    body = json.dumps(slow).encode()
    with (
        ThreadPoolExecutor(REQUESTS) as pool,
        socket.create_connection(patient.address, timeout=30) as connection,
        socket.create_connection(patient.address, timeout=30) as idle,
    ):
        connection.sendall(_head(keys, body) + body[:20])
        with frozen(stack, "kafka") as thaw:
            answers = [pool.submit(send_as_page, patient.url, keys, one) for one in sent]
            until(lambda: _under_way(patient) >= REQUESTS)
            patient.process.send_signal(signal.SIGTERM)
            until(lambda: patient.status("/healthz") == 0)
            assert idle.recv(100) == b""
            connection.sendall(body[20:])
            thaw()
            assert connection.recv(4096).startswith(b"HTTP/1.1 202")
            assert {answer.result().status_code for answer in answers} == {202}
    assert patient.process.wait(30) == 0
    assert '"not_acknowledged": 0' in patient.log.read_text()
    found = raw_messages(stack, {one["event_id"] for one in [slow, *sent]})
    assert len(found) == REQUESTS + 1


def test_without_kafka_nothing_is_promised_and_the_end_comes_all_the_same(
    stack: Settings, patient: OwnCollector, keys: Keys
) -> None:
    with frozen(stack, "kafka"), ThreadPoolExecutor(REQUESTS) as pool:
        answers = [pool.submit(send_as_page, patient.url, keys, fresh(n)) for n in range(REQUESTS)]
        until(lambda: _under_way(patient) >= REQUESTS)
        patient.process.send_signal(signal.SIGTERM)
        assert {_reason(answer) for answer in answers} == {"not_acknowledged"}
        assert patient.process.wait(30) == 0


def test_a_broker_that_hangs_is_not_waited_for_twice(
    stack: Settings, mine: OwnCollector, keys: Keys
) -> None:
    with frozen(stack, "kafka"):
        first = send_as_page(mine.url, keys, fresh())
        assert (first.status_code, reason(first)) == (503, "not_acknowledged")
        assert int(first.headers["retry-after"]) >= 1
        until(lambda: mine.status("/readyz") == 503)
        # Turned away before Kafka is asked at all.
        second = send_as_page(mine.url, keys, fresh())
        assert (second.status_code, reason(second)) == (503, "kafka_down")
        assert int(second.headers["retry-after"]) >= 1
        assert mine.status("/healthz") == 200
        # Nor does it count against its viewer, who would lose it as a flood before Kafka is back.
        many = [fresh(number) for number in range(300)]
        for _ in range(3):
            again = send_as_page(mine.url, keys, many)
            assert (again.status_code, reason(again)) == (503, "kafka_down")
    until(lambda: mine.status("/readyz") == 200)
    assert send_as_page(mine.url, keys, many).json() == {"accepted": 300, "rejected": []}


def test_a_broker_that_dies_is_missed_and_found_again(
    stack: Settings, mine: OwnCollector, keys: Keys
) -> None:
    [kafka] = [one.pid for one in processes(stack) if one.name == "kafka"]
    assert kafka
    os.kill(kafka, signal.SIGKILL)  # the supervisor starts it again
    until(lambda: mine.status("/readyz") == 503)
    away = send_as_page(mine.url, keys, fresh())
    assert (away.status_code, reason(away)) == (503, "kafka_down")
    until(lambda: mine.status("/readyz") == 200)
    sent = fresh()
    assert send_as_page(mine.url, keys, sent).status_code == 202
    assert len(raw_messages(stack, {sent["event_id"]})) == 1


def test_without_postgres_at_its_start_it_waits(
    stack: Settings, keys: Keys, tmp_path: Path
) -> None:
    postgres = Forwarder(stack.url("postgres"))
    with own_collector(stack, tmp_path, postgres=postgres.url) as mine:
        until(lambda: mine.status("/readyz") == 503)
        answer = send_as_page(mine.url, keys, fresh())
        assert (answer.status_code, reason(answer)) == (503, "starting")
        postgres.open()
        until(lambda: mine.status("/readyz") == 200)
        # Postgres goes again, and the keys that are known go on.
        postgres.close()
        assert send_as_page(mine.url, keys, fresh()).status_code == 202


def test_without_redis_views_are_taken(stack: Settings, keys: Keys, tmp_path: Path) -> None:
    redis = Forwarder(stack.url("redis"))
    with own_collector(stack, tmp_path, redis=redis.url) as mine:
        until(lambda: mine.status("/readyz") == 200)
        assert send_as_page(mine.url, keys, fresh()).status_code == 202
        assert mine.metric("viewledger_quota_local") == 1
        redis.open()
        until(lambda: mine.metric("viewledger_quota_local") == 0)
        with frozen(stack, "redis"):
            assert send_as_page(mine.url, keys, fresh()).status_code == 202
            assert mine.metric("viewledger_quota_local") == 1


def _under_way(mine: OwnCollector) -> float:
    """Requests that wait for Kafka."""
    return mine.metric("viewledger_collector_bytes") // (2 * REQUEST_BYTES)


def _head(keys: Keys, body: bytes) -> bytes:
    return (
        f"POST /v1/views?key={keys.page} HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()


def _reason(answer: "Future[httpx.Response]") -> str:
    return reason(answer.result())
