"""Leaves a word with a service, and asks for it again."""

from collections.abc import Callable
from typing import NamedTuple

import clickhouse_connect
import psycopg
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.kafka_url import KafkaUrl
from schemas.settings import Service


class Probe(NamedTuple):
    """Both take the URL of the service and raise while it does not answer."""

    leave: Callable[[str, str], None]
    words: Callable[[str], list[str]]


def _kafka_leave(url: str, word: str) -> None:
    config = {**KafkaUrl.parse(url).for_confluent(), "log_level": 0}
    admin = AdminClient(config)  # must outlive the request
    (created,) = admin.create_topics([NewTopic("probe", 1, 1)]).values()
    created.result()
    producer = Producer(config)
    producer.produce("probe", word)
    assert producer.flush(20) == 0


def _kafka_words(url: str) -> list[str]:
    config = {**KafkaUrl.parse(url).for_confluent(), "log_level": 0, "group.id": "probe"}
    consumer = Consumer(config)
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition("probe", 0), timeout=5)
        consumer.assign([TopicPartition("probe", 0, 0)])
        found = consumer.consume(end, timeout=20)
    finally:
        consumer.close()
    return [(message.value() or b"").decode() for message in found]


def _clickhouse_leave(url: str, word: str) -> None:
    with clickhouse_connect.get_client(dsn=url) as client:
        client.command("CREATE TABLE word (word String) ENGINE = MergeTree ORDER BY word")
        client.insert("word", [[word]])


def _clickhouse_words(url: str) -> list[str]:
    with clickhouse_connect.get_client(dsn=url) as client:
        return [row[0] for row in client.query("SELECT word FROM word").result_rows]


def _postgres_leave(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE word AS SELECT %s::text AS word", [word])


def _postgres_words(url: str) -> list[str]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM word")]


def _redis_leave(url: str, word: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.rpush("probe", word)
        client.save()  # what it holds may be lost, unless it is told to save


def _redis_words(url: str) -> list[str]:
    with redis.Redis.from_url(url) as client:
        return [word.decode() for word in client.lrange("probe", 0, -1)]


PROBES: dict[Service, Probe] = {
    "kafka": Probe(_kafka_leave, _kafka_words),
    "clickhouse": Probe(_clickhouse_leave, _clickhouse_words),
    "postgres": Probe(_postgres_leave, _postgres_words),
    "redis": Probe(_redis_leave, _redis_words),
}
