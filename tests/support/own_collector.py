"""A collector that a test has for itself: it is stopped, killed and starved."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil

from pipeline.embedded import kept
from pipeline.embedded.stack import processes
from pipeline.embedded.supervisor import environment_of
from schemas.settings import Settings

NUMBER = 9
WORKER = ("-m", "pipeline.worker")


class OwnCollector(NamedTuple):
    """A process that is not supervised."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def status(self, path: str) -> int:
        """Of a GET; 0 where nobody answers."""
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return 0

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = httpx.get(self.url + "/metrics", timeout=10).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def rss_mb(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


@contextmanager
def own_collector(
    stack: Settings, folder: Path, program: Sequence[str] = WORKER, **changes: Any
) -> Iterator[OwnCollector]:
    """A collector of these services, with other settings; it need not be ready yet."""
    port = kept._free_port()
    changed = stack.model_copy(
        update={"data": stack.data.absolute(), "collector_port": port - NUMBER, **changes}
    )
    log = folder / "collector.log"
    command = [sys.executable, *program, f"collector-{NUMBER}"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment_of(changed), stdout=file, stderr=file, cwd=folder
        )
    try:
        yield OwnCollector(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], seconds: float = 150) -> None:
    """Waits for something that happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@contextmanager
def frozen(stack: Settings, service: str) -> Iterator[Callable[[], None]]:
    """A service that hangs while it is entered, or until what it gives is called."""
    pid = {one.name: one.pid for one in processes(stack)}[service]
    assert pid
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield process.resume
    finally:
        process.resume()
