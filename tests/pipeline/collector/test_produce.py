"""What the producer says of itself."""

import signal
from typing import Any

from confluent_kafka import KafkaError

from pipeline.collector.produce import Kafka
from schemas.settings import Settings


def test_a_producer_that_can_never_go_on_ends_its_collector() -> None:
    told: list[int] = []
    before: Any = signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    try:
        kafka = Kafka(Settings(kafka="kafka://127.0.0.1:9"))
        kafka.down = False
        kafka._noticed(KafkaError(KafkaError._TRANSPORT))
        assert not kafka.down
        kafka._noticed(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        assert kafka.down
        assert told == []
        kafka._noticed(KafkaError(KafkaError._FATAL, "out of order", fatal=True))
        assert told == [signal.SIGTERM]
        assert kafka.down
    finally:
        signal.signal(signal.SIGTERM, before)
