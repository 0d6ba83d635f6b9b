"""Makes sure that a block is in ClickHouse, whatever happened before: see `sinks.store`."""

import uuid
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sinks.clickhouse import Client
from sinks.turns import in_turn, within

_ATTEMPTS = 4

_KEY = "campaign_id, promoter_id, hour, platform, verdict, currency, partition"
_REPAIR_HOURS = f"""
INSERT INTO views_hourly ({_KEY}, views, watch_ms, amount_micros)
SELECT {_KEY}, sum(one) AS views, sum(watched) AS watch_ms, sum(amount) AS amount_micros
FROM
(
    SELECT toStartOfHour(viewed_at) AS hour, campaign_id, promoter_id, platform, verdict, currency,
        partition, toInt64(1) AS one, toInt64(watch_ms) AS watched,
        if(verdict = 'valid', rate_micros, 0) AS amount
    FROM views
    WHERE partition = {{partition:UInt16}} AND viewed_at >= {{first:DateTime('UTC')}}
        AND viewed_at < {{last:DateTime('UTC')}} + INTERVAL 1 HOUR
        AND hour IN {{hours:Array(DateTime('UTC'))}}
    UNION ALL
    SELECT hour, campaign_id, promoter_id, platform, verdict, currency,
        partition, -views, -watch_ms, -amount_micros
    FROM views_hourly
    WHERE partition = {{partition:UInt16}} AND hour IN {{hours:Array(DateTime('UTC'))}}
)
GROUP BY {_KEY}
HAVING (views, watch_ms, amount_micros) != (0, 0, 0)
"""  # noqa: S608 - nothing of a user is in it


class StoreError(Exception):
    """ClickHouse holds something else than `views.scored` says."""


def prove(
    client: Client, partition: int, scored_offset: int, token: str, tables: Mapping[str, pa.Table]
) -> str:
    """Puts in what is missing of a block and returns the session in which it was seen complete.

    Empty if the block was complete before: somebody may have begun with the next one already,
    and that one must be proven, too.

    Raises:
        StoreError: another block is at this place, or rows are still missing after inserts.
    """
    session = uuid.uuid4().hex
    # Names the session for the first time: everything below happens in the life it began in.
    client.query("SELECT 1", settings={"session_id": session})
    settings = within(session, partition, token=None)
    columns = ("epoch", "writer", "raw_from", "raw_next")
    found = in_turn(
        client.query,
        f"SELECT max(scored_offset), groupArrayIf(({', '.join(columns)}), scored_offset = "  # noqa: S608
        "{scored_offset:UInt64}) FROM blocks WHERE partition = {partition:UInt16}"
        " HAVING count() > 0",
        parameters={"partition": partition, "scored_offset": scored_offset},
        settings=settings,
    ).result_rows
    if found and found[0][0] >= scored_offset:
        expected = tuple(tables["blocks"].select(columns).to_pylist()[0].values())
        if found[0][1] != [expected]:
            raise StoreError(
                f"the table blocks has {found[0][1]} at partition {partition}, scored offset "
                f"{scored_offset}, views.scored has {[expected]}: is this ClickHouse the store "
                "of another Kafka, or was views.scored created anew?"
            )
        return ""
    for table in ("views", "views_rejected", "blocks"):
        if table == "blocks":
            _repair_hours(client, partition, tables["views"], settings)
        _complete(client, table, tables[table], session, partition, token)
    return session


def _complete(
    client: Client, table: str, rows: pa.Table, session: str, partition: int, token: str
) -> None:
    """Inserts the rows of a block until all of them were seen to be there."""
    key = "scored_offset" if table == "blocks" else "raw_offset"
    for attempt in range(_ATTEMPTS):
        present = _present(client, table, key, rows, within(session, partition, token=None))
        missing = rows.filter(pc.invert(pc.is_in(rows[key].cast(pa.uint64()), present)))
        if not len(missing):
            return
        # The same tokens for everybody: two stores that find rows missing repeat each other.
        retry = token if attempt == 0 else f"{token}-{attempt}"
        in_turn(client.insert_arrow, table, missing, settings=within(session, partition, retry))
    raise StoreError(f"{token}: rows are missing in {table} after {_ATTEMPTS} inserts")


def _present(
    client: Client, table: str, key: str, rows: pa.Table, settings: dict[str, Any]
) -> pa.Array:
    """The keys (uint64) of the block's rows that the table has."""
    if not len(rows):
        return pa.array([], pa.uint64())
    where = "partition = {partition:UInt16} AND scored_offset = {scored_offset:UInt64}"
    parameters = {name: rows[name][0].as_py() for name in ("partition", "scored_offset")}
    if "log_time" in rows.column_names:  # by which the table is partitioned
        where += (
            " AND log_time BETWEEN {first:DateTime64(3, 'UTC')} AND {last:DateTime64(3, 'UTC')}"
        )
        span = pc.min_max(rows["log_time"])
        parameters |= {"first": span["min"].as_py(), "last": span["max"].as_py()}
    query = f"SELECT {key} FROM {table} WHERE {where}"  # noqa: S608 - names of ours
    found = in_turn(client.query_arrow, query, parameters=parameters, settings=settings)
    return found[key].combine_chunks() if len(found) else pa.array([], pa.uint64())


def _repair_hours(
    client: Client, partition: int, views: pa.Table, settings: dict[str, Any]
) -> None:
    """Adds to `views_hourly` what it lacks, or has too much, in the hours of these views."""
    if not len(views):
        return
    hours = pc.unique(pc.floor_temporal(views["viewed_at"], unit="hour")).to_pylist()
    in_turn(
        client.command,
        _REPAIR_HOURS,
        parameters={
            "partition": partition,
            "hours": sorted(hours),
            "first": min(hours),
            "last": max(hours),
        },
        settings=settings,
    )
