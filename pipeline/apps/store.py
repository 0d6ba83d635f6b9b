"""`store`: views.scored → ClickHouse, one insert per block."""

import asyncio
from functools import partial
from typing import Any

import faust
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from pipeline.apps.common import feed_from, new_app
from pipeline.erase.gate import pass_gate
from pipeline.feeds import Feed, Feeds, StartOverError
from schemas.block import decode_block
from schemas.erased import Erased, unlink_rows
from schemas.fencing import Outcome, Progress, Stamp, follow, from_headers
from schemas.metrics import BLOCKS, ROWS_STORED, STEP_SECONDS
from schemas.settings import Settings
from schemas.topics import SCORED
from sinks.clickhouse import connect
from sinks.store import StoreError, insert_block, load_progress

log = structlog.get_logger()


def build(settings: Settings, instance: str) -> tuple[faust.App, Feeds]:
    """The app and its partitions."""
    app = new_app(settings, "store", instance, records=64)
    run = partial(store_partition, settings.url("clickhouse"), settings.url("postgres"))
    feeds = Feeds(app, SCORED, run)
    feed_from(app, SCORED, feeds)
    return app, feeds


async def store_partition(clickhouse: str, postgres: str, feed: Feed) -> None:
    """Inserts the blocks of one partition from where ClickHouse says it stands.

    Viewers who are erased when it begins are unlinked: views.scored may still name them, and a
    ClickHouse that is made anew must not. Who is erased later is unlinked by the erasure.

    Raises:
        StartOverError: ClickHouse failed; what it holds decides where to go on.
    """
    erased = await pass_gate(postgres)
    try:
        client = await asyncio.to_thread(connect, clickhouse)
        known = await asyncio.to_thread(load_progress, client)
        progress = known.get(feed.partition, Progress())
        log.info("store starts", partition=feed.partition, next_scored=progress.next_scored)
        await feed.start(progress.next_scored)
        position = progress.position
        while True:
            for record in (await feed.take()).records:
                stamp = from_headers(record.headers)
                position, outcome = follow(position, stamp)
                BLOCKS.labels(outcome.value).inc()
                if outcome is Outcome.BLOCK:
                    await asyncio.to_thread(_insert, client, feed.partition, record, stamp, erased)
                feed.finish(record.offset + 1, record.timestamp)
    except (ClickHouseError, StoreError, HTTPError, OSError) as error:
        raise StartOverError(f"ClickHouse: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    # The driver repeats the address and parts of the data behind the first line.
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


def _insert(client: Any, partition: int, record: Any, stamp: Stamp, erased: Erased) -> None:
    with STEP_SECONDS.labels("store").time():
        block = decode_block(record.value)
        block = block._replace(accepted=unlink_rows(block.accepted, erased))
        insert_block(client, partition, record.offset, record.timestamp, stamp, block)
    ROWS_STORED.labels("views").inc(len(block.accepted))
    ROWS_STORED.labels("views_rejected").inc(len(block.refused))
