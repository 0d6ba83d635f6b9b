"""Corrections to the topic `views.corrections`: at least once, each with its id."""

from collections.abc import Callable, Sequence

import msgspec
from confluent_kafka import KafkaException, Producer
from confluent_kafka.error import KafkaError

from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import CORRECTIONS
from sinks.correct_follow import Correction

_TIMEOUT_S = 30.0


def publisher(settings: Settings) -> Callable[[Sequence[Correction]], None]:
    """What sends corrections, as JSON, to the partition of their view; keyed by event id.

    It returns when all are acknowledged by all replicas.

    Raises (when it is called):
        KafkaException: one was not.
    """
    producer = Producer(
        {
            **KafkaUrl.parse(settings.url("kafka")).for_confluent(),
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "zstd",
            "delivery.timeout.ms": int(_TIMEOUT_S * 1000),
            "log_level": 0,
        }
    )

    def publish(rows: Sequence[Correction]) -> None:
        failed: list[KafkaError] = []

        def report(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failed.append(error)

        for row in rows:
            producer.produce(
                CORRECTIONS,
                msgspec.json.encode(row),
                key=row.event_id,
                partition=row.partition,
                on_delivery=report,
            )
            producer.poll(0)
        left = producer.flush(_TIMEOUT_S + 5)
        if failed or left:
            raise KafkaException(failed[0] if failed else KafkaError(KafkaError._MSG_TIMED_OUT))

    return publish
