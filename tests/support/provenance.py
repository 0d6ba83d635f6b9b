"""Views that are in ClickHouse and in the ledger, for statements and traces."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
from support.blocks import START, block
from support.stores import empty_store

from schemas.block import ACCEPTED, Block
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks.book import book
from sinks.clickhouse import Client
from sinks.clickhouse import connect as connect_clickhouse
from sinks.postgres import Connection
from sinks.postgres import connect as connect_postgres
from sinks.store import insert_block

_partitions = itertools.count(1)
DIRECT = {"mutations_sync": 2}
"""ClickHouse waits until a mutation is done."""


class World(NamedTuple):
    """Both databases."""

    settings: Settings
    conn: Connection
    client: Client

    def view(
        self,
        campaign_id: str,
        promoter_id: str,
        views: int,
        *,
        currency: str = "EUR",
        rate_micros: int = 1000,
        verdict: Verdict = Verdict.VALID,
        reasons: int = 0,
        duplicates: Sequence[int] = (),
    ) -> tuple[int, list[str]]:
        """A block of a new partition, booked and stored: partition and event ids."""
        partition = next(_partitions)
        made = block(0, views + len(duplicates), partition=partition, duplicates=duplicates)
        same = {
            "campaign_id": campaign_id,
            "promoter_id": promoter_id,
            "currency": currency,
            "rate_micros": rate_micros,
            "verdict": int(verdict),
            "reasons": reasons,
        }
        accepted, refused = made.accepted, made.refused
        for name, value in same.items():
            at = ACCEPTED.get_field_index(name)
            column = pa.repeat(pa.scalar(value, ACCEPTED.field(name).type), len(accepted))
            accepted = accepted.set_column(at, ACCEPTED.field(name), column)
        for name in ("campaign_id", "promoter_id"):
            at = refused.schema.get_field_index(name)
            column = pa.repeat(pa.scalar(same[name], pa.string()), len(refused))
            refused = refused.set_column(at, refused.schema.field(at), column)
        before, rows = Progress(), views + len(duplicates)
        after = Progress(Position(1, "writer", rows), 2)
        book(self.conn, partition, before, after, [accepted])
        stamp = Stamp("block", "writer", 1, 0, rows)
        stored = Block(accepted, refused, made.versions)
        insert_block(self.client, partition, 1, START, stamp, stored)
        return partition, accepted["event_id"].to_pylist()

    def accrual(self, partition: int) -> int:
        """The accrual that such a block became."""
        row = self.conn.execute(
            "SELECT accrual_id FROM accruals WHERE partition = %s", (partition,)
        ).fetchone()
        assert row is not None
        return row[0]


def new_world(stack: Settings) -> Iterator[World]:
    """Databases that no other test uses."""
    settings = empty_store(stack, "clickhouse", "postgres")
    client = connect_clickhouse(settings.url("clickhouse"), settings=DIRECT)
    with client, connect_postgres(settings) as conn:
        yield World(settings, conn, client)
