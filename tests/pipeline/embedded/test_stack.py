"""Services come up, answer, are restarted with their data, and leave nothing behind."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from service_probes import PROBES
from tenacity import Retrying, stop_after_delay, wait_fixed

from pipeline.embedded.kept import ServiceError
from pipeline.embedded.leftovers import leftovers
from pipeline.embedded.stack import processes, start_services, start_workers, stop
from schemas.settings import SERVICES, NotRunningError, Service, Settings

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer]) -> Answer:
    """The answer of something that may be restarting."""
    return Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True)(ask)


def pids(settings: Settings) -> dict[str, int | None]:
    return {process.name: process.pid for process in processes(settings)}


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def supervisor_pid(settings: Settings) -> int:
    return int((settings.data / "supervisor" / "supervisord.pid").read_text())


@pytest.mark.services
def test_every_service_runs_and_no_worker(stack: Settings) -> None:
    running = {process.name for process in processes(stack) if process.state == "RUNNING"}
    assert running - {"collector-0"} == set(SERVICES)  # which other tests of the session start


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack to be killed: others hold connections to the shared one."""
    found = Settings(data=tmp_path_factory.mktemp("mortal"))
    try:
        start_services(found)
        yield found
    finally:
        stop(found)


@pytest.mark.services
@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_comes_back_with_its_data(mortal: Settings, service: Service) -> None:
    probe, url = PROBES[service], mortal.url(service)
    probe.leave(url, "before")
    pid = pids(mortal)[service]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert patiently(lambda: probe.words(url)) == ["before"]
    assert pids(mortal)[service] not in (None, pid)


@pytest.mark.services
def test_unknown_workers_are_refused(stack: Settings) -> None:
    with pytest.raises(ValueError, match="no worker 'scorer'; there are score-0, score-1"):
        start_workers(stack, ["scorer"])


@pytest.fixture
def second(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A stack of its own beside the first, whose ClickHouse and Redis it uses."""
    second = Settings(
        data=tmp_path / "a second stäck",
        clickhouse=stack.url("clickhouse"),
        redis=stack.url("redis"),
    )
    try:
        start_services(second)
        yield second
    finally:
        stop(second)


@pytest.mark.services
def test_two_stacks_side_by_side(stack: Settings, second: Settings) -> None:
    running = {name for name, pid in pids(second).items() if pid is not None}
    assert running == {"kafka", "postgres"}  # the other two are configured
    assert second.url("redis") == stack.url("redis")
    PROBES["postgres"].leave(second.url("postgres"), "second")
    assert PROBES["postgres"].words(second.url("postgres")) == ["second"]

    assert start_services(second) is False  # is up already
    before = pids(second)
    of_second = [psutil.Process(pid) for pid in before.values() if pid is not None]
    os.kill(supervisor_pid(second), signal.SIGKILL)
    patiently(lambda: _none(processes(second)))
    assert {process.pid for process in leftovers(second.data)} == {p.pid for p in of_second}

    assert start_services(second) is True  # ends what was left, and starts anew
    assert [process for process in of_second if alive(process)] == []
    assert PROBES["postgres"].words(second.url("postgres")) == ["second"]

    of_second = psutil.Process(supervisor_pid(second)).children(recursive=True)
    os.kill(supervisor_pid(second), signal.SIGKILL)
    assert stop(second) is True
    assert [process for process in of_second if alive(process)] == []
    assert leftovers(second.data) == []
    assert stop(second) is False
    with pytest.raises(NotRunningError, match="run `viewledger up`"):
        second.url("kafka")

    everything = {process.name for process in processes(stack) if process.state == "RUNNING"}
    assert everything - {"collector-0"} == set(SERVICES)  # the first was not touched


def _none(found: list[object]) -> None:
    assert not found


def test_a_folder_that_configurations_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="must not contain '%'"):
        start_services(Settings(data=tmp_path / "100%"))


def test_stopping_what_never_was(tmp_path: Path) -> None:
    assert stop(Settings(data=tmp_path / "missing")) is False
    assert not (tmp_path / "missing").exists()
