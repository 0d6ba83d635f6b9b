"""Events into `views.raw`: a batch is done when Kafka has acknowledged each of them."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.collector.problems import ProblemError
from schemas.kafka_url import KafkaUrl
from schemas.metrics import COLLECTOR_KAFKA_DOWN
from schemas.settings import Settings
from schemas.topics import RAW

log = structlog.get_logger()

Message = tuple[bytes, bytes]
"""Key and value."""
Headers = list[tuple[str, bytes]]
_LINGER_MS = 5
_POLL_S = 0.1
_PROBE_S = 1.0
_RETRY_S = 2.0


class _Batch:
    """Counts the acknowledgements of a request's events, in the poll thread."""

    __slots__ = ("_done", "_failed", "_left", "_loop")

    def __init__(self, size: int, done: "asyncio.Future[bool]") -> None:
        self._left, self._failed, self._done = size, 0, done
        self._loop = done.get_loop()

    def report(self, error: KafkaError | None, _message: object) -> None:
        self._left -= 1
        if error is not None:
            self._failed += 1
        if self._left == 0:
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():  # the request may have been given up
            self._done.set_result(not self._failed)


class Kafka:
    """The producer of one collector; idempotent, acknowledged by all replicas in sync."""

    def __init__(self, settings: Settings) -> None:
        self.down = True
        self._closing = threading.Event()
        self._producer = Producer(
            {
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
                "error_cb": self._noticed,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._poll, name="acknowledgements", daemon=True)
        self._thread.start()

    async def send(self, messages: Sequence[Message], headers: Headers) -> None:
        """Returns when Kafka has acknowledged all of them.

        Raises:
            ProblemError: 503. Some of them may be in Kafka all the same: a retry with the same
                ids counts them once.
        """
        if self.down:
            raise _unavailable("kafka_down", "Kafka does not answer")
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        batch = _Batch(len(messages), done)
        produce, report = self._producer.produce, batch.report
        try:
            for key, value in messages:
                produce(RAW, value, key, on_delivery=report, headers=headers)
        except BufferError:
            raise _unavailable("buffer_full", "too much waits for Kafka") from None
        except KafkaException as error:
            log.error("not produced", why=error.args[0].str())
            raise _unavailable("kafka_down", "Kafka does not take it") from None
        if not await done:
            raise _unavailable("not_acknowledged", "Kafka did not acknowledge in time")

    async def keep_watch(self) -> None:
        """Notices for ever when Kafka comes back; `down` until it first answers."""
        while True:
            if self.down and await asyncio.to_thread(self._answers):
                log.info("kafka answers")
                self._set_down(False)
            await asyncio.sleep(_PROBE_S)

    def close(self, timeout_s: float) -> int:
        """Waits for what is under way; returns how many were not acknowledged."""
        left = self._producer.flush(timeout_s)
        self._closing.set()
        self._thread.join()
        return int(left)

    def _answers(self) -> bool:
        try:
            topic = self._producer.list_topics(RAW, timeout=_PROBE_S).topics[RAW]
        except KafkaException:
            return False
        return topic.error is None and bool(topic.partitions)

    def _noticed(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self.down:
            log.warning("kafka is down")
            self._set_down(True)

    def _set_down(self, down: bool) -> None:
        self.down = down
        COLLECTOR_KAFKA_DOWN.set(down)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)


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
