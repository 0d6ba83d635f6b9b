from datetime import UTC, datetime

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.offsets import topic_ranges
from pipeline.settlement.publish import publisher
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import CORRECTIONS
from sinks.correct_follow import Correction

pytestmark = pytest.mark.services

AT = datetime(2026, 11, 23, tzinfo=UTC)


def correction(n: int) -> Correction:
    return Correction(
        n, n % 2, n, 0, f"event-{n:012}", AT, "c", "p", "EUR", 1000, "held", 1, "valid", 0,
        "hindsight", 1000, 0, 7, None, "m", "p", "l", "r", "settlement", "", AT,
    )  # fmt: skip


def test_each_goes_to_the_partition_of_its_view(stack: Settings) -> None:
    sent = [correction(n) for n in range(50)]
    ends = topic_ranges(stack, CORRECTIONS)
    publisher(stack)(sent)
    consumer = Consumer({**KafkaUrl.parse(stack.url("kafka")).for_confluent(), "group.id": "none"})
    consumer.assign(
        [TopicPartition(CORRECTIONS, partition, ends[partition][1]) for partition in (0, 1)]
    )
    found: dict[int, list[Correction]] = {0: [], 1: []}
    while sum(map(len, found.values())) < len(sent):
        for message in consumer.consume(50, timeout=10):
            assert message.error() is None
            value, partition = message.value(), message.partition()
            assert value is not None
            assert partition is not None
            found[partition].append(msgspec.json.decode(value, type=Correction))
    consumer.close()
    assert found == {partition: sent[partition::2] for partition in (0, 1)}


def test_what_is_not_acknowledged_is_an_error(stack: Settings) -> None:
    wrong = msgspec.structs.replace(correction(1), partition=stack.partitions + 3)
    with pytest.raises(KafkaException):
        publisher(stack)([wrong])
