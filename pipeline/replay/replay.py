"""`replay`: survey the file, decide its shift, send its events."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
from psycopg.errors import UndefinedTable
from rich.progress import Progress

from pipeline.cli.problems import Problem
from pipeline.replay.adapters import ADAPTERS
from pipeline.replay.post import Door, post
from pipeline.replay.produce import Message, Produced, connect, produce
from pipeline.replay.rebase import move, remembered_shift
from pipeline.replay.source import read_lines
from pipeline.replay.survey import Survey, survey
from schemas.catalogue import Campaign, Promoter
from schemas.settings import Settings
from sinks import catalogue, postgres

Send = Callable[[Path, str, int, float | None, Callable[[int], None]], Produced]

_BUDGET_MICROS = 10**15
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Summary(NamedTuple):
    """How a replay went."""

    adapter: str
    read: int
    sent: int
    """Acknowledged by Kafka, or accepted by the collector."""
    rejected: Counter[str]
    """By the collector, by its reason; through Kafka it is `score` that judges."""
    failed: Counter[str]
    """Events that were not delivered, by reason."""
    shift_ms: int
    repeated: bool
    """The file was replayed before, and moved by as much then."""
    interrupted: bool
    seconds: float
    """From the first event to the last acknowledgement."""


def replay_file(
    settings: Settings,
    path: Path,
    adapter: str = "view",
    *,
    rate: float | None = None,
    create_campaigns: int | None = None,
    progress: Progress | None = None,
    door: Door | None = None,
) -> Summary:
    """Sends every event of a file to `views.raw`. Nothing is sent of a wrong file.

    Args:
        adapter: a key of ADAPTERS.
        rate: events per second; as fast as possible if None.
        create_campaigns: creates the campaigns and promoters of the file that do not exist,
            with this rate, in micros of EUR per view.
        progress: shows a bar for each of the two passes over the file.
        door: sends through this collector instead of straight into Kafka.

    Raises:
        Problem: the file is wrong or damaged, or a service does not answer.
        NotRunningError: a service has neither a URL nor an embedded server.
    """
    bars = progress or Progress(disable=True)
    if door is None:
        settings.url("kafka")  # None is said before a long file is read.
    reading = bars.add_task(
        f"reading {path.name}", total=path.stat().st_size if path.exists() else 0
    )
    found = survey(path, adapter, lambda done: bars.update(reading, completed=done))
    bars.remove_task(reading)
    send = _through(door) if door is not None else _into(settings.url("kafka"))
    try:
        with postgres.connect(settings) as conn:
            if create_campaigns is not None:
                _create(conn, found, create_campaigns)
            shift, repeated = remembered_shift(conn, adapter, found)
    except psycopg.OperationalError as error:
        raise Problem(f"Postgres does not answer: {error}") from None
    except UndefinedTable:
        raise Problem("Postgres has no tables yet: run `viewledger up`") from None
    sending = bars.add_task("sending events", total=found.events)
    started = time.monotonic()
    done = send(path, adapter, shift, rate, lambda count: bars.advance(sending, count))
    return Summary(
        adapter=adapter,
        read=done.read,
        sent=done.sent,
        rejected=done.rejected,
        failed=done.failed,
        shift_ms=shift,
        repeated=repeated,
        interrupted=done.interrupted,
        seconds=time.monotonic() - started,
    )


def _into(kafka: str) -> Send:
    failed: Counter[str] = Counter()
    producer = connect(kafka, failed)
    return lambda path, adapter, shift, rate, advance: produce(
        producer, messages(path, adapter, shift), failed, rate, advance
    )


def _through(door: Door) -> Send:
    return lambda path, adapter, shift, rate, advance: post(
        door, (value for _, value in messages(path, adapter, shift)), rate, advance
    )


def messages(path: Path, adapter: str, shift_ms: int) -> Iterator[Message]:
    """Key and value of every event of a file, moved by `shift_ms`.

    What is not a JSON object is sent as it is, without a key.
    """
    encode = msgspec.json.Encoder().encode
    for _, event in ADAPTERS[adapter](path, read_lines(path)):
        if isinstance(event, bytes):
            yield None, event
            continue
        move(event, shift_ms)
        viewer = event.get("viewer_id")
        yield viewer.encode() if type(viewer) is str else None, encode(event)


def _create(conn: postgres.Connection, found: Survey, rate_micros: int) -> None:
    campaigns = [
        Campaign(
            campaign_id=name,
            currency="EUR",
            rate_micros=rate_micros,
            budget_micros=_BUDGET_MICROS,
            starts_at=_FIRST,
            ends_at=_LAST,
            status="active",
        )
        for name in sorted(found.campaigns)
    ]
    promoters = [Promoter(promoter_id=name, status="active") for name in sorted(found.promoters)]
    catalogue.save(conn, campaigns, promoters, keep_existing=True)
