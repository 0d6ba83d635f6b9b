"""Events into `views.raw`: a batch is done when Kafka has acknowledged each of them."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.collector.problems import ProblemError
from schemas.kafka_url import KafkaUrl
from schemas.metrics import COLLECTOR_KAFKA_DOWN
from schemas.settings import Settings
from schemas.topics import RAW

log = structlog.get_logger()

Message = tuple[str, bytes]
"""Key and value."""
Report = Callable[[KafkaError | None, object], None]
Headers = list[tuple[str, bytes]]
_LINGER_MS = 5
_POLL_S = 0.002
_PROBE_S = 1.0
_RETRY_S = 2.0


class _Batch:
    """Counts the acknowledgements of a request's events."""

    __slots__ = ("_done", "_failed", "_left")

    def __init__(self, size: int, done: "asyncio.Future[bool]") -> None:
        self._left, self._failed, self._done = size, False, done

    def report(self, error: KafkaError | None, _message: object) -> None:
        self._left -= 1
        if error is not None:
            self._failed = True
        if self._left == 0 and not self._done.done():  # the request may have been given up
            self._done.set_result(not self._failed)


def config(settings: Settings) -> dict[str, Any]:
    """How the collector produces, for `confluent_kafka.Producer`."""
    return {
        **KafkaUrl.parse(settings.url("kafka")).for_confluent(),
        "enable.idempotence": True,
        "acks": "all",
        # The partitioner of every sender: all retries of an event in one partition.
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": _LINGER_MS,
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": settings.collector_memory_mb * 1024,
        "delivery.timeout.ms": int(settings.collector_timeout_s * 1000),
        "reconnect.backoff.max.ms": 1000,
        "log_level": 0,
    }


def enqueue(
    producer: Producer, messages: Sequence[Message], headers: Headers, report: Report
) -> None:
    """Queues messages for `views.raw`; `report` is called for each, from `poll`.

    Raises:
        BufferError, KafkaException: as `Producer.produce`; those before are queued.
    """
    produce = producer.produce
    for key, value in messages:
        # Up to `headers` by position (partition, on_delivery twice, timestamp): by name, a third
        # of the time goes into matching the names.
        produce(RAW, value, key, -1, report, None, 0, headers)


class Kafka:
    """The producer of one collector; idempotent, acknowledged by all replicas in sync.

    It is polled by the event loop and not by a thread, which would have to wait for the GIL, and
    make the loop wait for it, once for every event.
    """

    def __init__(self, settings: Settings) -> None:
        self.down = True
        self._doubted = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._producer = Producer({**config(settings), "error_cb": self._noticed})

    def check(self) -> None:
        """Raises ProblemError, 503, while Kafka does not answer."""
        if self.down:
            raise _unavailable("kafka_down", "Kafka does not answer")

    def send(self, messages: Sequence[Message], headers: Headers) -> Awaitable[None]:
        """Queues messages, of which nothing is needed any more then.

        Returns:
            What to wait for: that Kafka has acknowledged all of them. It raises as this does.

        Raises:
            ProblemError: 503. Some of them may be in Kafka all the same: a retry with the same
                ids counts them once.
        """
        self.check()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        batch = _Batch(len(messages), done)
        try:
            enqueue(self._producer, messages, headers, batch.report)
        except BufferError:
            raise _unavailable("buffer_full", "too much waits for Kafka") from None
        except KafkaException as error:
            log.error("not produced", why=error.args[0].str())
            raise _unavailable("kafka_down", "Kafka does not take it") from None
        finally:
            if self._idle.is_set():
                self._poll(loop)
        return self._acknowledged(done)

    async def keep_watch(self) -> None:
        """Notices for ever whether Kafka answers; `down` until it first does.

        A broker that hangs shows only by what it did not acknowledge: it is asked then.
        """
        while True:
            self._producer.poll(0)
            if self.down or self._doubted:
                self._doubted = False
                self._set_down(not await asyncio.to_thread(self._answers))
            await asyncio.sleep(_PROBE_S)

    async def close(self, timeout_s: float) -> int:
        """Waits for what is under way; returns how many were not acknowledged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        return len(self._producer)

    async def _acknowledged(self, done: asyncio.Future[bool]) -> None:
        if not await done:
            self._doubted = True
            raise _unavailable("not_acknowledged", "Kafka did not acknowledge in time")

    def _answers(self) -> bool:
        try:
            topic = self._producer.list_topics(RAW, timeout=_PROBE_S).topics[RAW]
        except KafkaException:
            return False
        return topic.error is None and bool(topic.partitions)

    def _noticed(self, error: KafkaError) -> None:
        if error.fatal():
            # An idempotent producer that lost its place never sends again; the next one does.
            log.error("the producer cannot go on: the collector ends", why=error.str())
            os.kill(os.getpid(), signal.SIGTERM)
        if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._set_down(True)

    def _set_down(self, down: bool) -> None:
        if down != self.down:
            log.warning("kafka is down" if down else "kafka answers")
        self.down = down
        COLLECTOR_KAFKA_DOWN.set(down)

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until nothing is under way."""
        self._producer.poll(0)
        if len(self._producer):
            self._idle.clear()
            loop.call_later(_POLL_S, self._poll, loop)
        else:
            self._idle.set()


def _unavailable(reason: str, what: str) -> ProblemError:
    return ProblemError(
        503, reason, f"{what}: send it again, with the same event ids", retry_after_s=_RETRY_S
    )


def headers_of(request_id: str, traceparent: str, tracestate: str) -> Headers:
    """What goes with every event of a request; empty ones are left out."""
    named: dict[str, Any] = {
        "request_id": request_id,
        "traceparent": traceparent,
        "tracestate": tracestate if traceparent else "",
    }
    return [(name, text.encode()) for name, text in named.items() if text]
