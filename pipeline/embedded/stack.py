"""All services of a data folder as one: started, supervised, stopped."""

import fcntl
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from supervisor.xmlrpc import Faults

from pipeline.collector.endpoint import keep_ports
from pipeline.embedded import clickhouse, kafka, leftovers, postgres, redis, supervisor
from pipeline.embedded.kept import Server, ServiceError, write_private
from pipeline.embedded.supervisor import Process, Program, worker_names
from schemas.settings import SERVICES, Service, Settings

_PREPARE = {
    "kafka": kafka.prepare,
    "clickhouse": clickhouse.prepare,
    "postgres": postgres.prepare,
    "redis": redis.prepare,
}
_RESERVED = "\"'\\,;#%\n"
"""Each has a meaning of its own in the configuration of one of the services."""
_READY_S = 90
_STOP_S = 60


def start_services(settings: Settings) -> bool:
    """Starts every service that has no URL of its own, and returns when all of them answer.

    The services then run under their supervisor until `stop`, also when this process ends.
    What a dead supervisor left behind is ended first. Does nothing and returns False where
    they run already.

    Raises:
        ServiceError: a service cannot be prepared, or does not answer; says which and why.
    """
    data = settings.data.absolute()
    if wrong := set(str(data)) & set(_RESERVED):
        raise ServiceError(f"the path of the data folder, {data}, must not contain {wrong.pop()!r}")
    data.mkdir(mode=0o711, parents=True, exist_ok=True)  # PostgreSQL may have to pass through
    for folder in (data / "supervisor", data / "logs", data / "run"):
        folder.mkdir(mode=0o700, exist_ok=True)
    with _locked(data):
        if supervisor.runs(data):
            return False
        leftovers.end(leftovers.leftovers(data))
        _forget_workers(data)
        servers = _prepare(data, [name for name in SERVICES if getattr(settings, name) is None])
        programs = [
            Program(name, "service", server.command, server.stop_signal)
            for name, server in servers.items()
        ]
        endpoints: dict[str, str] = {name: server.url for name, server in servers.items()}
        if "clickhouse" in servers:
            endpoints["clickhouse_native"] = clickhouse.native_url(data / "clickhouse")
        if collectors := keep_ports(settings):
            endpoints["collector"] = collectors[0]
        write_private(data / "endpoints.json", json.dumps(endpoints, indent=2))
        try:
            supervisor.launch(settings, programs + supervisor.worker_programs(settings))
            _wait_until_ready(data, servers)
        except BaseException:
            _stop(data)
            raise
    return True


def start_workers(settings: Settings, names: list[str] | None = None) -> None:
    """Starts workers, all of them by default. Does nothing for one that runs.

    Raises:
        ConnectionError: the supervisor does not run.
        ValueError: no such worker; says which there are.
    """
    known = worker_names(settings)
    wanted = known if names is None else names
    for name in wanted:
        if name not in known:
            raise ValueError(f"no worker {name!r}; there are {', '.join(known)}")
    with supervisor.control(settings.data.absolute()) as control:
        for name in wanted:
            with supervisor.tolerating(Faults.ALREADY_STARTED):
                control.startProcess(name, False)


def stop_workers(settings: Settings, names: list[str] | None = None) -> None:
    """Stops workers, all of them by default, and waits until they have ended."""
    wanted = worker_names(settings) if names is None else names
    with supervisor.control(settings.data.absolute()) as control:
        for name in wanted:
            with supervisor.tolerating(Faults.NOT_RUNNING):
                control.stopProcess(name, True)


def processes(settings: Settings) -> list[Process]:
    """What the supervisor of this data folder runs; empty where it does not run itself."""
    data = settings.data.absolute()
    if not supervisor.runs(data):
        return []
    with supervisor.control(data) as control:
        found = control.getAllProcessInfo()
    return [
        Process(
            name=info["name"],
            kind="service" if info["name"] in SERVICES else "worker",
            pid=info["pid"] or None,
            state=info["statename"],
        )
        for info in found
    ]


def stop(settings: Settings) -> bool:
    """Ends all processes of the data folder, with or without a supervisor.

    Returns whether there were any. Workers end before services.
    """
    data = settings.data.absolute()
    if not data.exists():
        return False
    with _locked(data):
        return _stop(data)


def _stop(data: Path) -> bool:
    found = leftovers.leftovers(data)
    if supervisor.runs(data):
        with supervisor.control(data) as control:
            control.shutdown()
        leftovers.wait(found, _STOP_S)
    leftovers.end(leftovers.leftovers(data))
    _forget_workers(data)
    (data / "endpoints.json").unlink(missing_ok=True)
    return bool(found)


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """One `up` or `down` of a data folder at a time."""
    folder = supervisor.folder_of(data)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(data: Path, names: list[Service]) -> dict[Service, Server]:
    def prepare(name: Service) -> Server:
        folder = data / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return _PREPARE[name](folder)

    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(prepare, names), strict=True))


def _wait_until_ready(data: Path, servers: dict[Service, Server]) -> None:
    waiting = dict(servers)
    deadline = time.monotonic() + _READY_S
    while waiting := {name: server for name, server in waiting.items() if not server.ready()}:
        if not supervisor.runs(data):
            raise ServiceError(f"the supervisor ended; see {data / 'logs' / 'supervisord.log'}")
        with supervisor.control(data) as control:
            found = {name: control.getProcessInfo(name) for name in waiting}
        for name, info in found.items():
            # One that exited is tried again, one that cannot be executed will stay so.
            if time.monotonic() > deadline or info["spawnerr"].startswith("no permission"):
                log = data / "logs" / f"{name}.log"
                last = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise ServiceError(
                    f"{name} did not become ready: {info['description']}; the end of {log}:\n{last}"
                )
        time.sleep(0.05)


def _forget_workers(data: Path) -> None:
    for file in (data / "run").glob("*.json"):
        file.unlink(missing_ok=True)
