"""The supervisor of a data folder: supervisord with a generated configuration."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xmlrpc.client import Error, Fault, ServerProxy

from pydantic import SecretStr

from pipeline.embedded.kept import ServiceError, kept_password, kept_port, write_private
from schemas.settings import Settings

Kind = Literal["service", "worker"]


class Program(NamedTuple):
    """What supervisord runs."""

    name: str
    kind: Kind
    command: list[str]
    stop_signal: str = "TERM"


class Process(NamedTuple):
    """A supervised process as it is now."""

    name: str
    kind: Kind
    pid: int | None
    """None while it does not run."""
    state: str
    """supervisord's: STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL UNKNOWN."""


def worker_names(settings: Settings) -> list[str]:
    """The workers that `up` starts."""
    scorers = [f"score-{number}" for number in range(settings.workers)]
    collectors = [f"collector-{number}" for number in range(settings.collectors)]
    return [*scorers, "store", "book", *collectors]


def worker_programs(settings: Settings) -> list[Program]:
    """The programs of `worker_names`."""
    command = [sys.executable, "-m", "pipeline.worker"]
    return [Program(name, "worker", [*command, name]) for name in worker_names(settings)]


def folder_of(data: Path) -> Path:
    """Where the supervisor of a data folder keeps its files."""
    return data / "supervisor"


def launch(settings: Settings, programs: list[Program]) -> None:
    """Starts supervisord in the background; it starts the services, not the workers.

    Raises:
        ServiceError: it did not start.
    """
    data = settings.data.absolute()
    folder = folder_of(data)
    port, password = kept_port(folder), kept_password(folder)
    write_private(folder / "supervisord.conf", render(data, port, password, programs))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", f"{folder}/supervisord.conf"]
    environment = environment_of(settings.model_copy(update={"data": data}))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ServiceError(f"supervisord did not start: {(done.stderr or done.stdout).strip()}")


def environment_of(settings: Settings) -> dict[str, str]:
    """What services and workers get: the settings, but not what only finance needs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VIEWLEDGER_")}
    environment["LC_ALL"] = "C.UTF-8"  # for the JRE to read any path
    for name, value in settings.model_dump(exclude={"payee_keys", "payer"}).items():
        if value is not None:
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            environment[f"VIEWLEDGER_{name.upper()}"] = text
    return environment


def render(data: Path, port: int, password: str, programs: list[Program]) -> str:
    """supervisord.conf of a data folder."""
    folder = folder_of(data)
    sections = [
        f"""\
[supervisord]
pidfile={folder}/supervisord.pid
logfile={data}/logs/supervisord.log
logfile_maxbytes=10MB
logfile_backups=2
childlogdir={data}/logs
umask=077
minfds=1024

[inet_http_server]
port=127.0.0.1:{port}
username=viewledger
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    for program in programs:
        service = program.kind == "service"
        sections.append(
            f"""\
[program:{program.name}]
command={shlex.join(program.command)}
autostart={"true" if service else "false"}
autorestart=true
startsecs=1
startretries=1000000
stopsignal={program.stop_signal}
stopwaitsecs=15
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={data}/logs/{program.name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
priority={100 if service else 200}
"""
        )
    return "\n".join(sections).replace("%", "%%")  # supervisord expands %(...)s


def commands(data: Path) -> dict[str, list[str]]:
    """The commands of the programs by name, as last launched from this folder."""
    config = RawConfigParser()
    config.read(folder_of(data) / "supervisord.conf")
    return {
        section.removeprefix("program:"): shlex.split(config[section]["command"].replace("%%", "%"))
        for section in config.sections()
        if section.startswith("program:")
    }


@contextmanager
def control(data: Path) -> Iterator[Any]:
    """supervisord's XML-RPC interface.

    Raises:
        ConnectionError: it does not run.
    """
    folder = folder_of(data)
    try:
        port, password = (folder / "port").read_text(), kept_password(folder)
    except FileNotFoundError:
        raise ConnectionRefusedError(f"nothing was ever started in {data}") from None
    with ServerProxy(f"http://viewledger:{password}@127.0.0.1:{port}/RPC2") as proxy:
        yield proxy.supervisor


@contextmanager
def tolerating(fault: int) -> Iterator[None]:
    """Ignores one of supervisord's faults (`supervisor.xmlrpc.Faults`)."""
    try:
        yield
    except Fault as error:
        if error.faultCode != fault:
            raise


def runs(data: Path) -> bool:
    """Whether the supervisor of a data folder answers."""
    try:
        with control(data) as supervisor:
            return bool(supervisor.getState()["statename"] == "RUNNING")
    except (OSError, Error):
        return False
