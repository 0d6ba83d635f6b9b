"""Carries corrections from the ledger to whoever follows it: the topic, then ClickHouse.

Ids are drawn under `lock_payouts`, so none is committed after a higher one. How far it got is
what ClickHouse has; what is in the topic beyond that is sent once more, with the same id.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

import msgspec
import pyarrow as pa

from sinks.clickhouse import Client
from sinks.postgres import Connection

_ROWS = 20_000
"""Of one insert: one part, which is there in whole or not at all."""


class Correction(msgspec.Struct, frozen=True):
    """A row of `corrections` in ClickHouse, and a message of `views.corrections`."""

    correction_id: int
    partition: int
    raw_offset: int
    scored_offset: int
    event_id: str
    log_time: datetime
    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    was: str
    was_reasons: int
    became: str
    became_reasons: int
    why: str
    paid_micros: int
    capped_micros: int
    accrual_id: int | None
    ledger_correction_id: int | None
    model_version: str
    policy_version: str
    lists_version: str
    rules_version: str
    actor: str
    note: str
    corrected_at: datetime


_LEDGER = """
    SELECT view_correction_id, partition, raw_offset, scored_offset, event_id, log_time,
        campaign_id, promoter_id, currency, rate_micros, was, was_reasons, became,
        became_reasons, why, paid_micros, capped_micros, accrual_id, correction_id,
        model_version, policy_version, lists_version, rules_version, actor, note, corrected_at
    FROM view_corrections WHERE view_correction_id > %s ORDER BY view_correction_id LIMIT %s
"""
_INTS = {
    "correction_id": pa.uint64(),
    "partition": pa.uint16(),
    "raw_offset": pa.uint64(),
    "scored_offset": pa.uint64(),
    "was_reasons": pa.uint32(),
    "became_reasons": pa.uint32(),
    "accrual_id": pa.uint64(),
    "ledger_correction_id": pa.uint64(),
    "log_time": pa.timestamp("ms", "UTC"),
    "corrected_at": pa.timestamp("us", "UTC"),
}


def follow(
    conn: Connection, client: Client, publish: Callable[[Sequence[Correction]], None]
) -> int:
    """Carries on what is new; returns how many corrections. May be repeated at any time.

    Args:
        conn: a connection that is in no transaction.
        publish: returns when the broker has acknowledged all of them.
    """
    carried = 0
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('viewledger corrections'))")
        last = _start(conn, client)
        while rows := [Correction(*row) for row in conn.execute(_LEDGER, (last, _ROWS))]:
            publish(rows)
            _insert(client, rows)
            last = rows[-1].correction_id
            carried += len(rows)
    return carried


def _start(conn: Connection, client: Client) -> int:
    """Behind the last one in ClickHouse; from the beginning where one is missing before it."""
    ((last, stored),) = client.query(
        "SELECT max(correction_id), count() FROM corrections FINAL"
    ).result_rows
    ((there,),) = conn.execute(
        "SELECT count(*) FROM view_corrections WHERE view_correction_id <= %s", (last,)
    ).fetchall()
    return int(last) if stored == there else 0


def _insert(client: Client, rows: Sequence[Correction]) -> None:
    columns = {
        name: pa.array([getattr(row, name) for row in rows], _INTS.get(name))
        for name in Correction.__struct_fields__
    }
    # A server that was killed may remember an insert and have lost its part: the same rows have
    # to go in again, so they never look like the same insert.
    once = {"async_insert": 0, "insert_deduplication_token": uuid4().hex}
    client.insert_arrow("corrections", pa.table(columns), settings=once)
