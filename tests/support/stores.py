"""Databases for one test, and a ClickHouse that is stopped, damaged and started again."""

import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver.exceptions import Error
from support.blocks import START, block
from support.databases import with_database

from pipeline.embedded import supervisor
from pipeline.offsets import topic_ranges
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import book, postgres, store
from sinks.clickhouse import Client, connect
from sinks.migrate import Database, migrate_up


def empty_store(stack: Settings, *databases: Database) -> Settings:
    """The services of `stack` with databases of their own, migrated and empty."""
    name = f"test_{secrets.token_hex(4)}"
    urls = {database: with_database(stack.url(database), name) for database in databases}
    found = stack.model_copy(update=urls)
    migrate_up(found, databases)
    return found


def patient_client(settings: Settings, seconds: float = 60.0) -> Client:
    """A connection to a ClickHouse that may be starting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect(settings.url("clickhouse"))
        except Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def stopped_clickhouse(settings: Settings) -> Iterator[None]:
    """The embedded ClickHouse does not run inside of the block."""
    with supervisor.control(settings.data.absolute()) as control:
        control.stopProcess("clickhouse", True)
        try:
            yield
        finally:
            control.startProcess("clickhouse", True)
    patient_client(settings).close()


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


def catch_up(settings: Settings, *sinks: str) -> None:
    """Makes `store`, `book` or both stand at the present end of views.raw, without any view."""
    ends = {p: end for p, (_, end) in topic_ranges(settings, RAW).items()}
    if "store" in sinks:
        with connect(settings.url("clickhouse")) as client:
            for partition, (at, end) in _steps(store.load_progress(client), ends).items():
                here = at.position.next_raw
                stamp = Stamp("block", "w", 1, here, end, end - here)  # nothing but holes
                store.insert_block(client, partition, at.next_scored, START, stamp, block(0, 0))
    if "book" in sinks:
        with postgres.connect(settings) as conn:
            for partition, (at, end) in _steps(book.load_progress(conn), ends).items():
                after = Progress(Position(1, "w", end), at.next_scored + 1)
                book.book(conn, partition, at, after, [])


def _steps(
    known: Mapping[int, Progress], ends: Mapping[int, int]
) -> dict[int, tuple[Progress, int]]:
    """Partition → where it stands and where it ends, where the two differ."""
    at = {partition: known.get(partition, Progress()) for partition in ends}
    return {p: (at[p], end) for p, end in ends.items() if at[p].position.next_raw < end}
