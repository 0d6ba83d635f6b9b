"""What an embedded service is given once and then keeps in its folder: ports and passwords."""

import os
import random
import secrets
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# Below the ephemeral range: a port from within it can be lost to any outgoing
# connection of this machine while the service restarts.
_PORTS = range(15_000, 32_000)
_given: set[int] = set()
"""A port is free until its server has started: two services must not be given the same."""


class ServiceError(Exception):
    """A service cannot run here: which, why, and what to do."""


class Server(NamedTuple):
    """An embedded service that is prepared and can be started."""

    command: list[str]
    """Runs in the foreground."""
    url: str
    """In the form of `VIEWLEDGER_<SERVICE>`."""
    ready: Callable[[], bool]
    """Whether it answers, to this URL and these credentials; never raises. Also makes sure
    that the database is there."""
    stop_signal: str = "TERM"


def package_folder(name: str) -> Path:
    """Where a wheel with binaries is installed; importing it could have side effects."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceError(f"the package {name} is not installed: run `make install`")
    return Path(spec.origin).parent


def write_private(path: Path, content: str | bytes) -> None:
    """Writes a file, whole or not at all, that only its owner can read."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    draft.rename(path)


def kept(path: Path, make: Callable[[], str]) -> str:
    """The text of `path`; on the first call that of `make`."""
    if not path.exists():
        write_private(path, make())
    return path.read_text()


def kept_password(folder: Path) -> str:
    """The password of this folder's service; letters and digits, so that it needs no quoting."""
    return kept(folder / "password", lambda: secrets.token_hex(16))


def kept_port(folder: Path, name: str = "port") -> int:
    """The port of this folder's service, which must not be running.

    It stays the same unless somebody else has taken it in the meantime.
    """
    path = folder / name
    port = int(kept(path, lambda: str(_free_port())))
    if not _is_free(port):
        port = _free_port()
        write_private(path, str(port))
    _given.add(port)
    return port


def _free_port() -> int:
    while (port := random.choice(_PORTS)) in _given or not _is_free(port):
        pass
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
