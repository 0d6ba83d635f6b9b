"""Processes of a data folder that outlived their supervisor."""

import time
from contextlib import suppress
from pathlib import Path

import psutil

from pipeline.embedded import supervisor

_GRACE_S = 15


def leftovers(data: Path) -> list[psutil.Process]:
    """The processes of an absolute data folder that run without its supervisor.

    They are known by their whole command line, which names the folder; those of the workers
    do not, but their environment does.
    """
    known = list(supervisor.commands(data).values())
    config = str(supervisor.folder_of(data) / "supervisord.conf")
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"]
        if not command or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        supervises = command[1:] == ["-m", "supervisor.supervisord", "-c", config]
        # `setpriv` replaces itself by the command that follows its own options.
        supervised = any(command == wanted[-len(command) :] for wanted in known) and (
            any(str(data) in part for part in command) or _data_of(process) == str(data)
        )
        if supervises or supervised:
            found.append(process)
    return found


def _data_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("VIEWLEDGER_DATA")
    except psutil.Error:  # ended, or somebody else's
        return None


def end(processes: list[psutil.Process]) -> None:
    """Ends processes and all that they started: politely, then by force."""
    everything = set(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            everything |= set(process.children(recursive=True))
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in wait(list(everything), _GRACE_S):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait(list(everything), _GRACE_S)


def wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits until processes have ended; returns those that have not."""
    deadline = time.monotonic() + seconds
    while (processes := [p for p in processes if _alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return processes


def _alive(process: psutil.Process) -> bool:
    # A container's first process may never reap, so zombies are as good as gone.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
