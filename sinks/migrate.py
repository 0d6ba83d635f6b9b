"""Numbered migrations of both databases, run by dbmate.

They are in `schemas/migrations/{postgres,clickhouse}/NNNN_name.sql`, each with `-- migrate:up`
and `-- migrate:down`. A Postgres migration is one transaction. ClickHouse has none and takes
one statement at a time: a file there holds a pair of `migrate:up` and `migrate:down` for every
statement.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import schemas
from schemas.settings import Settings

Database = Literal["postgres", "clickhouse"]
DATABASES: tuple[Database, ...] = ("postgres", "clickhouse")


class MigrationError(Exception):
    """What dbmate said, and for which database."""


def migrations(database: Database) -> list[Path]:
    """The migrations of a database, in the order in which they run."""
    return sorted((Path(schemas.__path__[0]) / "migrations" / database).glob("*.sql"))


def migrate_up(settings: Settings, databases: Sequence[Database] = DATABASES) -> str:
    """Creates what is missing, the databases themselves included; returns what was done.

    Raises:
        MigrationError: a migration failed, or a database does not answer.
    """
    return "".join(_dbmate(settings, database, "up") for database in databases)


def migrate_down(
    settings: Settings, steps: int = 1, databases: Sequence[Database] = DATABASES
) -> str:
    """Takes the last `steps` migrations of each database back, with the data in their tables.

    Raises:
        MigrationError: a migration failed, or there were not so many.
    """
    return "".join(
        _dbmate(settings, database, "down") for database in databases for _ in range(steps)
    )


def migrate_status(settings: Settings, databases: Sequence[Database] = DATABASES) -> str:
    """Which migrations are applied (`[X]`) and which are pending (`[ ]`).

    Raises:
        MigrationError: a database does not answer.
    """
    return "".join(f"{name}:\n{_dbmate(settings, name, 'status')}" for name in databases)


def _dbmate(settings: Settings, database: Database, command: str) -> str:
    url, environment = _to_dbmate(database, settings.url(database))
    # Not on the command line, where every user of the machine could read the password.
    environment |= {"DATABASE_URL": url}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DBMATE_")}
    options = ["--no-dump-schema", "--env-file", os.devnull]
    options += ["--migrations-dir", str(Path(schemas.__path__[0]) / "migrations" / database)]
    if database == "postgres":
        options.append("--migration-lock")  # two workers may start at once
    done = subprocess.run(
        [Path(sys.executable).with_name("dbmate"), *options, command],
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix("Error: ")
        raise MigrationError(f"migrate {command} of {database}: {said}")
    return done.stdout


def _to_dbmate(database: Database, url: str) -> tuple[str, dict[str, str]]:
    """A URL as dbmate's drivers read it, and what they want in the environment."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    environment = {}
    if database == "postgres":
        # libpq's own default; the driver of dbmate would insist on TLS.
        options.setdefault("sslmode", "prefer")
        scheme = "postgres"
    else:
        if parts.port is None:  # the driver of dbmate would take the port of another protocol
            standard = 8123 if parts.scheme == "http" else 8443
            parts = parts._replace(netloc=f"{parts.netloc}:{standard}")
        scheme = f"clickhouse+{parts.scheme}"
        # Of the options of clickhouse-connect only those on TLS matter here.
        if "ca_cert" in options:
            environment["SSL_CERT_FILE"] = options["ca_cert"]
        verify = options.get("verify", "true").lower() not in ("false", "0")
        options = {"secure": "true"} if parts.scheme == "https" else {}
        if not verify:
            options["skip_verify"] = "true"
    return urlunsplit(parts._replace(scheme=scheme, query=urlencode(options))), environment
