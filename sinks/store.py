"""Blocks of `views.scored` into ClickHouse, each view exactly once.

A block is one insert into `views`, one into `views_rejected`, then one row of `blocks`. All
carry the token `views.scored-{partition}-{scored_offset}`, so that a retry is known for one.

A token alone is not enough. ClickHouse writes it to its log just before it renames the new part
(some versions just after): killed between the two, it would take the retry for a duplicate
although the rows are not there, or not know it though they are. And a part of the materialized
view can be missing where the part of `views` is there. So the first insert of a connection into
a partition, and the first after any error, *proves* the block (`sinks.proving`): it looks, puts
in what is missing, and looks again. This happens in an HTTP session, which dies with the server
process; the inserts that follow name that session and are refused outside of it. Within one life
of the server the token is enough. `docs/clickhouse-inserts.md` has the argument.
"""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import pyarrow as pa
from clickhouse_connect.driver.exceptions import DatabaseError

from schemas.block import Block
from schemas.fencing import Position, Progress, Stamp
from schemas.topics import SCORED
from sinks.clickhouse import Client
from sinks.proving import StoreError, prove
from sinks.rows import Counts, block_row, count, rejected_rows, view_rows
from sinks.turns import in_turn, within

__all__ = ["StoreError", "insert_block", "load_progress"]

_SESSION_NOT_FOUND = 372

# Per connection and partition: the last block, and the session in which it was seen complete.
_proven: WeakKeyDictionary[Client, dict[int, tuple[int, str]]] = WeakKeyDictionary()


def load_progress(client: Client) -> dict[int, Progress]:
    """Where the store stands in each partition: behind the last block of the table `blocks`."""
    found = client.query(
        "SELECT partition, argMax((epoch, writer, raw_next), scored_offset), max(scored_offset)"
        " FROM blocks GROUP BY partition"
    )
    return {
        partition: Progress(Position(*position), scored_offset + 1)
        for partition, position, scored_offset in found.result_rows
    }


def insert_block(
    client: Client,
    partition: int,
    scored_offset: int,
    scored_time_ms: int,
    stamp: Stamp,
    block: Block,
) -> Counts:
    """Puts one taken block in; may be repeated after any error, by anyone, at any time.

    The blocks of a partition come in the order of `views.scored`, and the next one only when
    this returned: the row in `blocks` says that everything before it is there.

    Raises:
        StoreError: ClickHouse holds something else at this place.
        clickhouse_connect.driver.exceptions.Error: ClickHouse does not answer, or refuses.
    """
    tables = {
        "views": view_rows(partition, scored_offset, block),
        "views_rejected": rejected_rows(partition, scored_offset, block),
        "blocks": block_row(partition, scored_offset, scored_time_ms, stamp, block),
    }
    token = f"{SCORED}-{partition}-{scored_offset}"
    proven = _proven.setdefault(client, {})
    last, session = proven.pop(partition, (scored_offset, ""))  # back again when all went well
    if scored_offset <= last or not _insert_fast(client, tables, session, partition, token):
        session = prove(client, partition, scored_offset, token, tables)
    if session:
        proven[partition] = scored_offset, session
    return count(block)


def _insert_fast(
    client: Client, tables: Mapping[str, pa.Table], session: str, partition: int, token: str
) -> bool:
    """The inserts alone; False if the session is over, because of a restart or of idleness."""
    try:
        for table, rows in tables.items():
            if len(rows):
                settings = within(session, partition, token)
                in_turn(client.insert_arrow, table, rows, settings=settings)
    except DatabaseError as error:
        if error.code == _SESSION_NOT_FOUND:
            return False
        raise
    return True
