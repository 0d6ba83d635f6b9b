"""`book`: views.scored → the ledger, many blocks in one transaction with the progress."""

import asyncio
from functools import partial
from typing import NamedTuple

import faust
import psycopg
import pyarrow as pa
import structlog

from pipeline import upkeep
from pipeline.apps.common import feed_from, new_app
from pipeline.erase.gate import pass_gate
from pipeline.feeds import Feed, Feeds, StartOverError
from schemas.block import decode_accepted
from schemas.fencing import Outcome, Progress, follow, from_headers
from schemas.metrics import BLOCKS, STEP_SECONDS, VIEWS_BOOKED
from schemas.settings import Settings
from schemas.topics import SCORED
from sinks.book import MovedError, book, load_progress
from sinks.book_accrue import COLUMNS
from sinks.postgres import NoConnectionError, Pool, borrowed, pool

log = structlog.get_logger()

_ROWS_PER_TRANSACTION = 65_536


def build(settings: Settings, instance: str) -> tuple[faust.App, Feeds]:
    """The app and its partitions."""
    app = new_app(settings, "book", instance, records=64)
    feeds = Feeds(app, SCORED, partial(book_partition, pool(settings, "viewledger-book")))
    feed_from(app, SCORED, feeds)

    @app.task  # type: ignore[untyped-decorator]
    async def look_after_ledger() -> None:
        upkeep.start(settings)

    return app, feeds


class Gathered(NamedTuple):
    """What goes into one transaction."""

    after: Progress
    accepted: list[pa.Table]
    log_time_ms: int


async def book_partition(connections: Pool, feed: Feed) -> None:
    """Books the blocks of one partition from where the ledger says it stands.

    A connection is taken for each transaction: there may be more partitions than connections.

    Raises:
        StartOverError: Postgres failed, or another booker moved the progress.
    """
    await pass_gate(str(connections.conninfo))
    try:
        progress = await asyncio.to_thread(_progress, connections, feed.partition)
        log.info("book starts", partition=feed.partition, next_scored=progress.next_scored)
        await feed.start(progress.next_scored)
        while True:
            for gathered in _transactions(progress, (await feed.take()).records):
                await asyncio.to_thread(_book, connections, feed.partition, progress, gathered)
                progress = gathered.after
                feed.finish(progress.next_scored, gathered.log_time_ms)
    except (MovedError, NoConnectionError) as error:
        raise StartOverError(str(error)) from error
    except psycopg.OperationalError as error:
        # Whether a COMMIT that broke off took place, the progress row says.
        raise StartOverError(f"Postgres: {type(error).__name__}") from error


def _progress(connections: Pool, partition: int) -> Progress:
    with borrowed(connections) as connection:
        return load_progress(connection).get(partition, Progress())


def _transactions(progress: Progress, records: list) -> list[Gathered]:  # type: ignore[type-arg]
    """Cuts the messages of a chunk into transactions of about 65,536 views."""
    position = progress.position
    cuts: list[Gathered] = []
    accepted: list[pa.Table] = []
    for record in records:
        position, outcome = follow(position, from_headers(record.headers))
        BLOCKS.labels(outcome.value).inc()
        if outcome is Outcome.BLOCK:
            accepted.append(decode_accepted(record.value, list(COLUMNS)))
        full = sum(map(len, accepted)) >= _ROWS_PER_TRANSACTION
        if full or record is records[-1]:
            cuts.append(Gathered(Progress(position, record.offset + 1), accepted, record.timestamp))
            accepted = []
    return cuts


def _book(connections: Pool, partition: int, before: Progress, gathered: Gathered) -> None:
    with borrowed(connections) as connection, STEP_SECONDS.labels("book").time():
        booked = book(connection, partition, before, gathered.after, gathered.accepted)
    VIEWS_BOOKED.labels("paid").inc(booked.views)
    VIEWS_BOOKED.labels("capped").inc(booked.capped_views)
