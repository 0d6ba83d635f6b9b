"""Sends refused events to views.raw again, each once, with the log time they first had."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Producer

from pipeline.drain import drain
from pipeline.rejected import Rejected, RejectedError, read_rejected
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW
from schemas.view import EVENT_ID_PATTERN
from sinks import clickhouse, postgres
from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.rejected import accepted_ids, confirmed, intend_replay, mark_replayed

REPLAY_HEADER = "replay_log_time"
_DRAIN_S = 120.0
_EVENT_ID = re.compile(EVENT_ID_PATTERN)


class Replayed(NamedTuple):
    """What became of the messages of views.rejected that were asked for."""

    sent: int = 0
    sent_before: int = 0
    accepted_before: int = 0
    """Not sent: an event with the same id is in ClickHouse."""
    unconfirmed: int = 0
    """Not sent: the log does not say (yet) that the event was refused."""


class _Id(msgspec.Struct):
    event_id: str


def replay_rejected(
    settings: Settings,
    reason: str | None = None,
    show: Callable[[Replayed], None] = lambda done: None,
) -> Replayed:
    """Sends the events that were refused for `reason` (None: for any) again.

    An event is remembered before it is sent and marked after it: a crash in between makes it go
    out twice, and the second one is a duplicate. It never makes it go out not at all.

    Raises:
        RejectedError: another replay is running, or Kafka did not take an event.
        DrainError: an earlier replay crashed, and what it sent is not stored yet.
        KafkaException, clickhouse_connect.driver.exceptions.Error, psycopg.Error: a service
            does not answer.
    """
    client = clickhouse.connect(settings.url("clickhouse"))
    done = Replayed()
    with postgres.connect(settings, "viewledger-rejected") as conn:
        lock = conn.execute("SELECT pg_try_advisory_lock(hashtext('rejected replay'))").fetchone()
        if lock != (True,):
            raise RejectedError("another `viewledger rejected replay` is running")
        producer = _producer(settings)
        for batch in read_rejected(settings):
            now = _replay_batch(settings, client, conn, producer, batch, reason)
            done = Replayed(*map(sum, zip(done, now, strict=True)))
            show(done)
    return done


def _replay_batch(
    settings: Settings,
    client: Client,
    conn: Connection,
    producer: Producer,
    batch: Sequence[Rejected],
    reason: str | None,
) -> Replayed:
    """Messages of one partition. The topic is at-least-once: the last one of each offset counts."""
    messages = {message.raw_offset: message for message in batch}
    partition = batch[0].partition
    reasons = confirmed(client, partition, min(messages), max(messages))
    unconfirmed = [m for offset, m in messages.items() if offset not in reasons]
    wanted = [o for o in messages if o in reasons and reason in (None, reasons[o])]
    with conn.transaction():
        open_, interrupted = intend_replay(conn, partition, wanted)
    if interrupted:
        # Perhaps it was sent: then it must be in ClickHouse before anybody looks there.
        drain(settings, _DRAIN_S)
    known = _accepted(settings, client, [messages[offset] for offset in open_])
    sent = _send(producer, [messages[offset] for offset in open_ if offset not in known])
    mark_replayed(conn, partition, [*sent, *known])
    failed = len(open_) - len(known) - len(sent)
    if failed:
        raise RejectedError(f"Kafka did not take {failed:,} events; run the replay again")
    return Replayed(
        len(sent),
        len(wanted) - len(open_),
        len(known),
        sum(reason in (None, message.refusal) for message in unconfirmed),
    )


def _accepted(settings: Settings, client: Client, messages: Sequence[Rejected]) -> set[int]:
    """Raw offsets of those whose event id was accepted since.

    The duplicate window of `score` may have forgotten them. What was accepted is at most an
    accept window older than the first attempt of the refused one, as far as clocks agree.
    """
    ids = {m.raw_offset: found for m in messages if (found := _event_id(m.value)) is not None}
    if not ids:
        return set()
    window_ms = settings.accept_window_hours * 3_600_000
    slack_ms = (settings.future_minutes + settings.window_slack_minutes) * 60_000
    since = min(message.log_time for message in messages) - window_ms - slack_ms
    known = accepted_ids(client, set(ids.values()), since)
    return {offset for offset, event_id in ids.items() if event_id in known}


def _event_id(value: bytes | None) -> str | None:
    try:
        event_id = msgspec.json.decode(value or b"", type=_Id).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return event_id if _EVENT_ID.fullmatch(event_id) else None


def _producer(settings: Settings) -> Producer:
    config = KafkaUrl.parse(settings.url("kafka")).for_confluent()
    return Producer(
        config
        | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "message.max.bytes": 16 * 1024 * 1024,
            "log_level": 0,
        }
    )


def _send(producer: Producer, messages: Sequence[Rejected]) -> list[int]:
    """Sends each event to its own partition; returns the raw offsets of those that Kafka has."""
    sent: list[int] = []

    def delivered(raw_offset: int, error: Any, _message: Any) -> None:
        if error is None:
            sent.append(raw_offset)

    for message in messages:
        while True:
            try:
                producer.produce(
                    RAW,
                    key=message.key,
                    value=message.value,
                    partition=message.partition,
                    headers=[(REPLAY_HEADER, str(message.log_time).encode())],
                    on_delivery=partial(delivered, message.raw_offset),
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return sent
