"""Which events were refused, as ClickHouse has it from the log, and which were sent again."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from clickhouse_connect.driver.external import ExternalData

from sinks.clickhouse import Client
from sinks.postgres import Connection

Coordinate = tuple[int, int]
"""Partition and offset in views.raw."""


class Example(NamedTuple):
    """One refused event."""

    partition: int
    raw_offset: int
    log_time: datetime
    reason: str
    event_id: str | None
    campaign_id: str | None
    promoter_id: str | None


def count_by_reason(client: Client) -> dict[str, int]:
    """Reason → events, the most frequent first; `duplicate` is one of them."""
    rows: Any = client.query(
        "SELECT reason, count() FROM views_rejected GROUP BY reason ORDER BY count() DESC, reason"
    ).result_rows
    return dict(rows)


def newest(client: Client, reason: str, limit: int) -> list[Example]:
    """The newest events that were refused for a reason."""
    rows = client.query(
        f"SELECT {', '.join(Example._fields)} FROM views_rejected"  # noqa: S608 - names of ours
        " WHERE reason = {reason:String}"
        " ORDER BY log_time DESC, partition, raw_offset DESC LIMIT {limit:UInt32}",
        parameters={"reason": reason, "limit": limit},
        tz_mode="aware",
    ).result_rows
    return [Example(*row) for row in rows]


def confirmed(client: Client, partition: int, first: int, last: int) -> dict[int, str]:
    """Raw offset → reason of the events in `[first, last]` that the log says were rejected."""
    rows: Any = client.query(
        "SELECT raw_offset, reason FROM views_rejected WHERE partition = {partition:UInt16}"
        " AND raw_offset BETWEEN {first:UInt64} AND {last:UInt64} AND reason != 'duplicate'",
        parameters={"partition": partition, "first": first, "last": last},
    ).result_rows
    return dict(rows)


def accepted_ids(client: Client, event_ids: Collection[str], since_ms: int) -> set[str]:
    """Those of the event ids that were accepted at a log time of `since_ms` or later."""
    if not event_ids:
        return set()
    wanted = ExternalData(
        file_name="wanted",
        data="".join(f"{event_id}\n" for event_id in event_ids).encode(),
        fmt="TSV",
        structure="event_id String",
    )
    rows = client.query(
        "SELECT DISTINCT event_id FROM views WHERE event_id IN (SELECT event_id FROM wanted)"
        " AND log_time >= fromUnixTimestamp64Milli({since:Int64})",
        parameters={"since": since_ms},
        external_data=wanted,
    ).result_rows
    return {event_id for (event_id,) in rows}


def intend_replay(
    conn: Connection, partition: int, raw_offsets: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Records that these events are about to be sent again, before they are.

    Returns those that were not sent yet, and those of them that were intended before by
    somebody who did not come to say that they were sent. The caller's transaction must end
    before anything is sent; locks of another run are waited for.
    """
    rows = conn.execute(
        """
        INSERT INTO rejected_replays (partition, raw_offset)
        SELECT %s, unnest(%s::bigint[])
        ON CONFLICT (partition, raw_offset) DO UPDATE SET intended_at = now()
            WHERE rejected_replays.replayed_at IS NULL
        RETURNING raw_offset, xmax <> 0
        """,
        (partition, list(raw_offsets)),
    ).fetchall()
    return sorted(offset for offset, _ in rows), sorted(offset for offset, old in rows if old)


def mark_replayed(conn: Connection, partition: int, raw_offsets: Iterable[int]) -> None:
    """Records that these events were sent again."""
    conn.execute(
        "UPDATE rejected_replays SET replayed_at = now()"
        " WHERE partition = %s AND raw_offset = ANY (%s)",
        (partition, list(raw_offsets)),
    )
