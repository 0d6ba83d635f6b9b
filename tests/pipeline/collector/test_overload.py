"""Too much at once: the collector sheds before it swells, cuts who is slow, and recovers."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from support.door import Keys, fresh, send_as_page, send_as_server, signed
from support.own_collector import frozen, own_collector, until

from pipeline.collector.capacity import REQUEST_BYTES
from schemas.settings import Settings

pytestmark = pytest.mark.services

MEMORY_MB = 8
BODIES = 400
EVENTS = 100
SWELL = 5
"""Most MiB of resident memory for each of `VIEWLEDGER_COLLECTOR_MEMORY_MB`; docs/reliability.md."""
HALF_OPEN = 600


def test_memory_is_bounded_while_kafka_hangs(stack: Settings, keys: Keys, tmp_path: Path) -> None:
    bodies = [_body(number) for number in range(BODIES)]
    assert sum(map(len, bodies)) > 8 * MEMORY_MB * 2**20
    with own_collector(stack, tmp_path, collector_memory_mb=MEMORY_MB) as mine:
        until(lambda: mine.status("/readyz") == 200)
        for body in bodies[:5]:
            assert send_as_server(mine.url, keys, body).status_code == 202
        # A connection that is kept may be closed, for it was idle, while a request is sent on it.
        limits = httpx.Limits(max_keepalive_connections=0)
        with (
            watched(mine.rss_mb) as memory,
            httpx.Client(timeout=60, limits=limits) as client,
            frozen(stack, "kafka"),
        ):

            def send(body: bytes) -> str:
                headers = signed(keys.server, body)
                answer = client.post(f"{mine.url}/v1/views", content=body, headers=headers)
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 1
                return str(answer.json()["type"]).rpartition(":")[2]

            with ThreadPoolExecutor(64) as pool:
                reasons = Counter(pool.map(send, bodies))
        before, most = memory[0], max(memory)
        print(f"{before:.0f} MiB, at most {most:.0f} MiB; {dict(reasons)}")
        assert reasons["overloaded"] > 0
        assert most - before < SWELL * MEMORY_MB
        until(lambda: mine.status("/readyz") == 200)
        assert send_as_server(mine.url, keys, bodies[0]).status_code == 202
        assert mine.metric("viewledger_collector_bytes") == 0


@contextmanager
def watched(look: Callable[[], float]) -> Iterator[list[float]]:
    """What `look` gives, again and again while this is entered."""
    found, done = [look()], threading.Event()

    def again() -> None:
        while not done.wait(0.02):
            found.append(look())

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def test_a_key_that_piles_up_leaves_room_for_the_others(
    stack: Settings, keys: Keys, tmp_path: Path
) -> None:
    bodies = [_body(number) for number in range(40)]
    changed = {"collector_memory_mb": MEMORY_MB, "collector_timeout_s": 15}
    with own_collector(stack, tmp_path, **changed) as mine:
        until(lambda: mine.status("/readyz") == 200)
        with frozen(stack, "kafka") as thaw, ThreadPoolExecutor(41) as pool:
            flood = [pool.submit(send_as_server, mine.url, keys, body) for body in bodies]
            until(lambda: any(one.done() for one in flood))
            assert "of this key" in next(one for one in flood if one.done()).result().text
            page = pool.submit(send_as_page, mine.url, keys, fresh())
            until(lambda: sum(one.done() for one in flood) > 5)
            assert not page.done()
            thaw()
            assert page.result().status_code == 202
            assert {one.result().status_code for one in flood} == {202, 503}


def test_who_never_says_what_they_want_is_cut_and_keeps_nobody_out(
    stack: Settings, keys: Keys, tmp_path: Path
) -> None:
    with own_collector(stack, tmp_path, collector_timeout_s=3) as mine, ExitStack() as open_:
        until(lambda: mine.status("/readyz") == 200)
        half = [socket.create_connection(mine.address, timeout=30) for _ in range(HALF_OPEN)]
        for number, one in enumerate(half):
            open_.enter_context(one)
            one.sendall(
                [b"", b"POST /v1/vi", b"POST /v1/views HTTP/1.1\r\nHost: x\r\n"][number % 3]
            )
        assert send_as_page(mine.url, keys, fresh()).status_code == 202
        assert all(one.recv(100) == b"" for one in half)


def test_who_promises_much_and_sends_nothing_keeps_nobody_out(
    stack: Settings, keys: Keys, tmp_path: Path
) -> None:
    # The large ones take what they can get, the small ones what is left.
    sizes = [2**20] * MEMORY_MB + [2**17] * 8 + [2**14] * 4 + [1] * 4
    with (
        own_collector(stack, tmp_path, collector_memory_mb=MEMORY_MB) as mine,
        ExitStack() as open_,
    ):
        until(lambda: mine.status("/readyz") == 200)
        for size in sizes:
            one = open_.enter_context(socket.create_connection(mine.address, timeout=30))
            head = f"POST /v1/views HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
            one.sendall(head.encode())
        held = len(sizes) * REQUEST_BYTES
        until(lambda: mine.metric("viewledger_collector_bytes") >= held)
        answer = send_as_page(mine.url, keys, fresh())
        assert answer.status_code == 202, answer.text


def _body(number: int) -> bytes:
    """Some 200 KB of events of many viewers."""
    long = "https://site.example/" + "x" * 1500
    viewers = [f"viewer-{number:04}-{n:04}" for n in range(EVENTS)]
    return json.dumps(
        [fresh(n, viewer_id=v, referrer=long) for n, v in enumerate(viewers)]
    ).encode()
