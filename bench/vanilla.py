"""`vanilla`: Faust as its manual has it, doing the work of `score` per event.

Two variants: the model asked per event and one message out per event; and `take(1000)`, with
the model asked once per batch and one message out per batch. Both decode with msgspec and keep
what they remember in dicts, sets and lists of plain Python. One process, one core, as `score`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import faust
import msgspec
import numpy as np
from confluent_kafka.admin import AdminClient, NewTopic

from bench.measure import Measured, Stopwatch, alone
from bench.vanilla_memory import Memory
from bench.vanilla_steps import Known, Prepared, finish, prepare
from models.lists import load_lists
from models.registry import Model, load_model
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW
from schemas.verdicts import Refusal
from sinks.catalogue import load_catalogue
from sinks.postgres import connect

Variant = Literal["per_event", "take_1000"]
VARIANTS: tuple[tuple[Variant, int], ...] = (("per_event", 50), ("take_1000", 10))
"""With the share of the events that is enough to measure it: it is slow."""
_TAKE, _WITHIN_S = 1_000, 0.2
_WARM = 1_000
"""Events before the clock starts."""


def measure(settings: Settings, variant: Variant, events: int) -> Measured:
    """Judges `events` events of views.raw in a process of its own."""
    kafka = KafkaUrl.parse(settings.url("kafka"))
    admin = AdminClient({**kafka.for_confluent(), "log_level": 0})
    topic = NewTopic(_output(variant), settings.partitions, 1)
    for future in admin.create_topics([topic]).values():
        future.result()
    return alone(_run, settings, kafka, variant, events)


def _output(variant: Variant) -> str:
    return f"bench.vanilla.{variant}"


def _run(settings: Settings, kafka: KafkaUrl, variant: Variant, events: int) -> Measured:
    return asyncio.run(_judge(settings, kafka, variant, events))


async def _judge(settings: Settings, kafka: KafkaUrl, variant: Variant, events: int) -> Measured:
    with connect(settings) as connection:
        catalogue = load_catalogue(connection)
    model = load_model(settings.model)
    known = Known(catalogue, load_lists(), model.threshold, set(), set(), Memory())
    app = faust.App(
        f"bench-vanilla-{variant}",
        broker=[f"kafka://{server}" for server in kafka.servers.split(",")],
        store="memory://",
        datadir=str(settings.data / "vanilla"),  # else where it was started
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=10_000,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_linger=0.02,
        producer_compression_type="lz4",
    )
    raw = app.topic(RAW, key_serializer="raw", value_serializer="raw")
    out = app.topic(_output(variant), key_serializer="raw", value_serializer="raw")
    progress = _Progress(events)
    if variant == "per_event":

        @app.agent(raw)  # type: ignore[untyped-decorator]
        async def judge(stream: Any) -> None:
            with progress.or_fail():
                async for event in stream.events():
                    found = prepare(known, event.key, event.value, _log_time(event))
                    if not isinstance(found, Refusal):
                        scored = finish(known, found, _predict(model, [found])[0])
                        await out.send(key=event.key, value=_encode(scored))
                    progress.did(1)

    else:

        @app.agent(raw)  # type: ignore[untyped-decorator]
        async def judge_batch(stream: Any) -> None:
            with progress.or_fail():
                async for batch in stream.take_events(_TAKE, within=_WITHIN_S):
                    found = [prepare(known, one.key, one.value, _log_time(one)) for one in batch]
                    accepted = [one for one in found if not isinstance(one, Refusal)]
                    if accepted:
                        scores = _predict(model, accepted)
                        pairs = zip(accepted, scores, strict=True)
                        rows = [finish(known, one, score) for one, score in pairs]
                        await out.send(value=_encode(rows))
                    progress.did(len(batch))

    await app.start()
    try:
        return await progress.done()
    finally:
        await app.stop()


class _Progress:
    """Starts the clock after the first events and stops it after the last."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._seen = self._warm = 0
        self._watch = Stopwatch()
        self._measured: asyncio.Future[Measured] = asyncio.get_running_loop().create_future()

    def did(self, events: int) -> None:
        self._seen += events
        if not self._warm and self._seen >= min(_WARM, self._events // 2):
            self._warm, self._watch = self._seen, Stopwatch()
        elif self._seen >= self._events and not self._measured.done():
            self._measured.set_result(self._watch.stop(self._seen - self._warm))

    @contextmanager
    def or_fail(self) -> Iterator[None]:
        """An error ends the stage: Faust would start the agent again, and again."""
        try:
            yield
        except Exception as error:
            if not self._measured.done():
                self._measured.set_exception(error)
            raise

    async def done(self) -> Measured:
        return await self._measured


_encode = msgspec.json.Encoder().encode


def _log_time(event: Any) -> int:
    return int(event.message.timestamp * 1000)


def _predict(model: Model, prepared: list[Prepared]) -> list[float]:
    scores: list[float] = model.predict(np.array([one.features for one in prepared])).tolist()
    return scores
