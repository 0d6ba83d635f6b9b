"""From where to where the partitions of a topic reach."""

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

_TIMEOUT_S = 10.0


def topic_ranges(settings: Settings, topic: str) -> dict[int, tuple[int, int]]:
    """Partition → [first, next) offset.

    Raises:
        KafkaException: Kafka does not answer within ten seconds, or has no such topic.
    """
    config = KafkaUrl.parse(settings.url("kafka")).for_confluent()
    client = AdminClient({**config, "log_level": 0})  # what goes wrong is raised
    found = client.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    partitions = [TopicPartition(topic, partition) for partition in found.partitions]
    first, last = (
        {
            partition.partition: future.result().offset
            for partition, future in client.list_offsets(
                dict.fromkeys(partitions, spec), request_timeout=_TIMEOUT_S
            ).items()
        }
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    )
    return {partition: (first[partition], last[partition]) for partition in sorted(last)}


def offsets_at(settings: Settings, topic: str, time_ms: int) -> dict[int, int]:
    """Partition → offset of the first message that came in at this time or later; or the end.

    Raises:
        KafkaException: as `topic_ranges`.
    """
    ranges = topic_ranges(settings, topic)
    config = KafkaUrl.parse(settings.url("kafka")).for_confluent()
    client = AdminClient({**config, "log_level": 0})
    asked = {
        TopicPartition(topic, partition): OffsetSpec.for_timestamp(time_ms) for partition in ranges
    }
    answers = client.list_offsets(asked, request_timeout=_TIMEOUT_S)
    found = {partition.partition: future.result().offset for partition, future in answers.items()}
    return {
        partition: found[partition] if found[partition] >= 0 else end
        for partition, (_, end) in ranges.items()
    }
