"""What a stage took: wall time, CPU time of the measured process, memory."""

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import psutil

P = ParamSpec("P")
T = TypeVar("T")


class Measured(NamedTuple):
    """What one process did."""

    events: int
    wall_s: float
    cpu_s: float
    """User and system time of all threads of the process."""
    peak_rss: int
    """Bytes."""

    @property
    def per_s(self) -> float:
        """Events per second."""
        return self.events / self.wall_s

    @property
    def per_cpu_s(self) -> float:
        """Events per second of CPU time."""
        return self.events / self.cpu_s

    def to_json(self, **more: Any) -> dict[str, Any]:
        """As it stands in the results, with whatever else the stage has to say."""
        return {
            **self._asdict(),
            "per_s": self.per_s,
            "per_cpu_s": self.per_cpu_s,
            **more,
        }


class Stopwatch:
    """Measures this process from its making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, events: int) -> Measured:
        """What `events` took."""
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        return Measured(events, wall, cpu, peak_rss(psutil.Process()))


def alone(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function of a module in a fresh process of its own, on one core."""
    with ProcessPoolExecutor(1, get_context("spawn"), pin) as pool:
        return pool.submit(function, *args, **kwargs).result()


def beside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function of a module in a fresh process of its own, off the core of `pin`."""
    with ProcessPoolExecutor(1, get_context("spawn"), _pin_off) as pool:
        return pool.submit(function, *args, **kwargs).result()


def _pin_off() -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores - {max(cores)} or cores)


def pin(pid: int = 0) -> None:
    """Keeps a process, with all threads it has and will have, on the machine's last core."""
    if not hasattr(os, "sched_setaffinity"):
        return
    core = {max(os.sched_getaffinity(0))}
    process = psutil.Process(pid or None)
    # The main thread first: those that it makes meanwhile have its core already.
    for thread in sorted(thread.id for thread in process.threads()):
        os.sched_setaffinity(thread, core)


def peak_rss(process: psutil.Process) -> int:
    """The most memory that a process ever had, in bytes; what it has now where that is unknown."""
    try:
        # Not ru_maxrss: that one remembers what the parent had before exec.
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return int(process.memory_info().rss)
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found, "no VmHWM in /proc"
    return int(found[1]) * 1024


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and all it started."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
