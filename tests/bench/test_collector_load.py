"""The client of the bench, against a server of this test."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pytest

from bench.collector_load import Address, at_rate, overload, saturate, threads_cpu
from bench.collector_requests import Wanted
from schemas.api_key import new_token

WANTED = Wanted(new_token("publishable").text, 2, 40, "abcdefghijkl")


class Server(threading.Thread):
    """Answers each request after a while; of some connections it hears nothing to the end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.status, self.cuts, self.pause_s = "202", 0, 0.0
        self.seen: list[bytes] = []
        self.address: Address = ("127.0.0.1", 0)
        self.listens = threading.Event()
        self.over = asyncio.Event()
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.address = server.sockets[0].getsockname()
            self.listens.set()
            await self.over.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
                if self.cuts:
                    self.cuts -= 1
                    break
                self.seen.append(await reader.readexactly(length))
                await asyncio.sleep(self.pause_s)
                head = f"HTTP/1.1 {self.status} X\r\nContent-Length: 3\r\n\r\n".encode()
                writer.write(head + b"{ }")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.start()
    made.listens.wait()
    yield made
    made.loop.call_soon_threadsafe(made.over.set)
    made.join()
    made.loop.close()


def test_each_request_is_sent_once_and_those_to_warm_up_do_not_count(server: Server) -> None:
    found = saturate(server.address, os.getpid(), WANTED, 4)
    assert len(set(server.seen)) == len(server.seen) == 40
    assert found.measured.events == 36 * 2
    assert found.measured.cpu_s == pytest.approx(sum(found.threads_cpu_s.values()))


def test_latency_counts_from_when_a_request_was_due(server: Server) -> None:
    server.pause_s = 0.02
    # One connection, twenty times as many requests as it can carry: the queue is the latency.
    found = at_rate(server.address, WANTED, 1_000, 1)
    assert found["p99"] > 10 * 0.02
    assert found["p50"] > 5 * 0.02


def test_a_refusal_ends_the_measurement(server: Server) -> None:
    server.status = "503"
    with pytest.raises(AssertionError, match="503"):
        saturate(server.address, os.getpid(), WANTED, 4)


def test_overload_goes_on_where_it_is_refused_or_cut(server: Server) -> None:
    server.status, server.cuts = "503", 2
    found = overload(server.address, WANTED, 3, 3)
    assert found["cut"] == 2
    assert found["503"] >= 3


def test_cpu_time_is_told_apart_by_threads() -> None:
    before = threads_cpu(os.getpid())
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass
    after = threads_cpu(os.getpid())
    assert after.keys() == {"loop", "kafka", "http"}
    assert sum(after.values()) - sum(before.values()) > 0.05
