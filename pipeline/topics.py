"""Creates the topics of `schemas.topics`, or checks those that are there."""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from confluent_kafka.error import KafkaError

from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import TOPICS, Topic, rewriting

_CHECKED = ("message.timestamp.type", "max.message.bytes", "cleanup.policy")
_FOR_EVER = "-1"
_CONNECT_S = 15
_TIMEOUT_S = 30


class TopicError(Exception):
    """Kafka does not answer, or has a topic that differs from what it must be."""


def ensure_topics(settings: Settings) -> None:
    """Makes sure that all topics exist with `settings.partitions` partitions.

    One that is being written anew (`viewledger erase --logs`) is left alone.

    Raises:
        TopicError: one exists with another partition count or another important setting,
            or Kafka does not answer.
        KafkaException: Kafka refused.
    """
    client = _connect(KafkaUrl.parse(settings.url("kafka")))
    there = client.list_topics(timeout=_TIMEOUT_S).topics
    wanted = [topic for topic in TOPICS if rewriting(topic.name) not in there]
    _create(client, settings, wanted)
    found = _partition_counts(client, wanted)
    for topic in wanted:
        partitions = found[topic.name]
        if partitions != settings.partitions:
            raise TopicError(
                f"topic {topic.name} has {partitions} partitions, VIEWLEDGER_PARTITIONS says "
                f"{settings.partitions}. Views are kept apart by partition, so the number is "
                "fixed; growing it is a procedure: docs/operations.md"
            )
        _check_config(client, topic)


def _connect(url: KafkaUrl) -> AdminClient:
    errors: list[KafkaError] = []
    # librdkafka would write each failed attempt to standard error.
    quiet = {"log_level": 0, "error_cb": errors.append}
    client = AdminClient({**url.for_confluent(), **quiet})
    try:
        client.list_topics(timeout=_CONNECT_S)
    except KafkaException as error:
        client.poll(0)  # serves error_cb
        why = "; ".join(dict.fromkeys(e.str() for e in errors)) or error.args[0].str()
        raise TopicError(f"Kafka at {url.servers} does not answer: {why}") from error
    return client


def _create(client: AdminClient, settings: Settings, topics: Sequence[Topic]) -> None:
    wanted = [
        NewTopic(topic.name, settings.partitions, settings.replication, config=topic.config)
        for topic in topics
    ]
    for future in client.create_topics(wanted, operation_timeout=_TIMEOUT_S).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _partition_counts(client: AdminClient, wanted: Sequence[Topic]) -> dict[str, int]:
    # A broker may hear of a new topic a moment after the controller has created it.
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        topics = client.list_topics(timeout=_TIMEOUT_S).topics
        if all(topic.name in topics for topic in wanted):
            return {name: len(metadata.partitions) for name, metadata in topics.items()}
        if time.monotonic() > deadline:
            raise TopicError(f"Kafka created topics, but did not list them in {_TIMEOUT_S} s")
        time.sleep(0.05)


def _check_config(client: AdminClient, topic: Topic) -> None:
    (future,) = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name)]).values()
    found = future.result()
    for name, needed in topic.config.items():
        # How long other topics keep what they have is the operator's to say.
        checked = name in _CHECKED or needed == _FOR_EVER
        if checked and found[name].value != needed:
            raise TopicError(
                f"topic {topic.name} has {name}={found[name].value}, needs {needed}: "
                "change it with your Kafka's tools"
            )
