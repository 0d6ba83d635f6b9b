import os
import time

import psutil
import pytest

from bench.measure import Measured, Stopwatch, alone, cpu_seconds, peak_rss

MEGABYTE = 2**20


def where_am_i(greeting: str) -> tuple[str, int, set[int], int]:
    mine = psutil.Process()
    return greeting, mine.pid, set(mine.cpu_affinity()), peak_rss(mine)


def test_a_stage_alone_has_a_process_and_a_core_of_its_own() -> None:
    ballast = bytearray(200 * MEGABYTE)
    here = peak_rss(psutil.Process())
    greeting, pid, cores, peak = alone(where_am_i, "hello")
    assert greeting == "hello"
    assert pid != os.getpid()
    assert len(cores) == 1
    assert peak < here - len(ballast) // 2, "the parent's memory must not count"


def test_the_stopwatch_counts_cpu_time_and_not_waiting() -> None:
    watch = Stopwatch()
    time.sleep(0.2)
    while watch.stop(1).cpu_s < 0.05:
        pass
    found = watch.stop(10)
    assert found.wall_s >= 0.2 + 0.05 - 0.01
    assert found.wall_s - found.cpu_s >= 0.15
    assert found.per_s == pytest.approx(10 / found.wall_s)
    assert found.per_cpu_s == pytest.approx(10 / found.cpu_s)


def test_cpu_seconds_grow_with_work() -> None:
    me = psutil.Process()
    before, start = cpu_seconds(me), time.process_time()
    while time.process_time() < start + 0.1:
        pass
    assert cpu_seconds(me) - before >= 0.05


def test_results_have_the_rates() -> None:
    found = Measured(100, 4.0, 2.0, MEGABYTE).to_json(blocks=3)
    assert found["per_s"] == 25
    assert found["per_cpu_s"] == 50
    assert found["blocks"] == 3
