"""A client that costs little: prebuilt requests over keep-alive connections, by raw asyncio.

Each function is run in a process of its own (`bench.measure.beside`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import uvloop

from bench.collector_requests import Wanted, requests
from bench.measure import Measured, peak_rss

Address = tuple[str, int]
_PATIENCE_S = 30
_REST_S = 0.05


class Saturated(NamedTuple):
    """A server under as many requests as it takes."""

    measured: Measured
    """Of the server; events are those of requests that were answered by 202."""
    threads_cpu_s: dict[str, float]


class Answers(NamedTuple):
    """What came back."""

    by_status: Counter[str]
    seconds: list[float]
    """From when a request was due to its answer."""


def saturate(address: Address, pid: int, wanted: Wanted, connections: int) -> Saturated:
    """Sends on all connections, on each the next request after the answer to the last."""
    made = requests(wanted)
    warm = len(made) // 10
    process = psutil.Process(pid)

    async def run() -> Saturated:
        await _send(address, made[:warm], connections, None)
        before, start = threads_cpu(pid), time.perf_counter()
        answers = await _send(address, made[warm:], connections, None)
        wall = time.perf_counter() - start
        used = {name: spent - before[name] for name, spent in threads_cpu(pid).items()}
        _check(answers)
        events = wanted.batch * len(answers.seconds)
        measured = Measured(events, wall, sum(used.values()), peak_rss(process))
        return Saturated(measured, used)

    return uvloop.run(run())


def at_rate(address: Address, wanted: Wanted, per_s: float, connections: int) -> dict[str, float]:
    """Seconds to the answer, p50 and p99, of requests that are due at a constant rate.

    Timed from when a request was due: one that has to wait for a free connection is not hidden.
    """
    made = requests(wanted)

    async def run() -> Answers:
        await _send(address, made[:connections], connections, None)
        return await _send(address, made[connections:], connections, per_s)

    answers = uvloop.run(run())
    _check(answers)
    p50, p99 = np.quantile(answers.seconds, [0.5, 0.99]).tolist()
    return {"p50": p50, "p99": p99}


def overload(address: Address, wanted: Wanted, connections: int, seconds: float) -> dict[str, int]:
    """Answers by status while far too much is sent: what is refused comes again after 50 ms."""
    made = requests(wanted)
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()

    async def insist(again: Iterator[bytes]) -> None:
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection(*address)
                try:
                    while time.monotonic() < end:
                        status = await _exchange(reader, writer, next(again))
                        counts[status] += 1
                        if status != "202":
                            await asyncio.sleep(_REST_S)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError):
                # Refused before all of the body was read, which ends the connection.
                counts["cut"] += 1
                await asyncio.sleep(_REST_S)

    async def run() -> None:
        again = cycle(made)
        async with asyncio.timeout(seconds + _PATIENCE_S):
            await asyncio.gather(*(insist(again) for _ in range(connections)))

    uvloop.run(run())
    return dict(counts)


def threads_cpu(pid: int) -> dict[str, float]:
    """CPU seconds of the threads of a collector so far: `loop`, `kafka` and `http`."""
    found = dict.fromkeys(("loop", "kafka", "http"), 0.0)
    for thread in psutil.Process(pid).threads():
        found[_part(pid, thread.id)] += thread.user_time + thread.system_time
    return found


def _part(pid: int, thread: int) -> str:
    if thread == pid:
        return "loop"
    try:
        name = Path(f"/proc/{pid}/task/{thread}/comm").read_text()
    except FileNotFoundError:
        return "http"
    return "kafka" if name.startswith("rdk:") else "http"


async def _send(
    address: Address, made: Sequence[bytes], connections: int, per_s: float | None
) -> Answers:
    answers = Answers(Counter(), [])
    opened = [await asyncio.open_connection(*address) for _ in range(connections)]
    rest = enumerate(made)
    start = time.perf_counter()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, request in rest:
            due = time.perf_counter()
            if per_s is not None:
                wait = start + number / per_s - due
                due += wait
                if wait > 0:
                    await asyncio.sleep(wait)
            status = await _exchange(reader, writer, request)
            answers.by_status[status] += 1
            answers.seconds.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(client(*one) for one in opened))
    return answers


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> str:
    writer.write(request)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, rest = head.lower().partition(b"content-length: ")
    await reader.readexactly(int(rest.partition(b"\r")[0]))
    return head[9:12].decode()


def _check(answers: Answers) -> None:
    if set(answers.by_status) != {"202"}:
        raise AssertionError(f"not all were accepted: {dict(answers.by_status)}")
