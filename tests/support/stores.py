"""Databases for one test, and a ClickHouse that is stopped, damaged and started again."""

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver.exceptions import Error
from support.databases import with_database

from pipeline.embedded import supervisor
from schemas.settings import Settings
from sinks.clickhouse import Client, connect
from sinks.migrate import Database, migrate_up


def empty_store(stack: Settings, *databases: Database) -> Settings:
    """The services of `stack` with databases of their own, migrated and empty."""
    name = f"test_{secrets.token_hex(4)}"
    urls = {database: with_database(stack.url(database), name) for database in databases}
    found = stack.model_copy(update=urls)
    migrate_up(found, databases)
    return found


def patient_client(store: Settings, seconds: float = 60.0) -> Client:
    """A connection to a ClickHouse that may be starting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect(store.url("clickhouse"))
        except Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def stopped_clickhouse(store: Settings) -> Iterator[None]:
    """The embedded ClickHouse does not run inside of the block."""
    with supervisor.control(store.data.absolute()) as control:
        control.stopProcess("clickhouse", True)
        try:
            yield
        finally:
            control.startProcess("clickhouse", True)
    patient_client(store).close()


def last_part(client: Client, table: str) -> Path:
    """The folder of the part that was inserted last."""
    (row,) = client.query(
        "SELECT path FROM system.parts WHERE active AND database = currentDatabase()"
        " AND table = {table:String} ORDER BY max_block_number DESC LIMIT 1",
        parameters={"table": table},
    ).result_rows
    return Path(row[0])


def lose_part(part: Path) -> None:
    """What a kill leaves between the deduplication log and the rename of the part."""
    shutil.rmtree(part)


def lose_token(part: Path) -> None:
    """What a kill leaves where the deduplication log is written after the rename."""
    logs = sorted((part.parent / "deduplication_logs").iterdir(), key=lambda p: p.stat().st_mtime)
    lines = logs[-1].read_text().splitlines(keepends=True)
    block = part.name.rpartition("_")[0] + "_"  # without the level
    kept = [line for line in lines if not line.split("\t")[1].startswith(block)]
    assert len(kept) < len(lines)
    logs[-1].write_text("".join(kept))
