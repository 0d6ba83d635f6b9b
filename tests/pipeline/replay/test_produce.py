"""Producing, to a Kafka that is there and to one that is not."""

import json
import time
from collections import Counter

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from pipeline.cli.problems import Problem
from pipeline.replay.produce import connect, produce
from pipeline.replay.replay import replay_file
from pipeline.simulate.simulate import simulate
from schemas.kafka_url import KafkaUrl
from schemas.topics import RAW
from sinks.catalogue import load_catalogue
from sinks.postgres import connect as connect_postgres


def test_no_kafka(monkeypatch):
    monkeypatch.setattr("pipeline.replay.produce._ANSWER_SECONDS", 0.5)
    with pytest.raises(Problem, match="Kafka does not answer"):
        connect("kafka://127.0.0.1:1", Counter())


def ends(kafka):
    consumer = Consumer({**KafkaUrl.parse(kafka).for_confluent(), "group.id": "test-ends"})
    partitions = consumer.list_topics(RAW).topics[RAW].partitions
    found = {p: consumer.get_watermark_offsets(TopicPartition(RAW, p))[1] for p in partitions}
    consumer.close()
    return found


def consume(kafka, since):
    """Messages of views.raw from the given offsets on, by partition."""
    consumer = Consumer({**KafkaUrl.parse(kafka).for_confluent(), "group.id": "test-replay"})
    consumer.assign([TopicPartition(RAW, p, offset) for p, offset in since.items()])
    expected = sum(ends(kafka).values()) - sum(since.values())
    found = []
    while len(found) < expected:
        found += consumer.consume(min(1_000, expected - len(found)), timeout=5)
    consumer.close()
    return found


@pytest.mark.services
def test_a_file_arrives_whole_and_ends_now(stack, tmp_path):
    path = tmp_path / "events.ndjson"
    simulate(2_000, 11, path)
    since = ends(stack.url("kafka"))
    summary = replay_file(stack, path, create_campaigns=1_500)
    assert (summary.read, summary.sent, summary.failed) == (2_000, 2_000, Counter())
    assert not summary.repeated
    arrived = consume(stack.url("kafka"), since)
    assert len(arrived) == 2_000
    by_viewer, received = {}, []
    for message in arrived:
        try:
            event = msgspec.json.decode(message.value())
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict) or "viewer_id" not in event:
            assert message.key() is None
            continue
        assert message.key() == event["viewer_id"].encode()
        by_viewer.setdefault(message.key(), set()).add(message.partition())
        received.append(event["received_at"])
    assert all(len(partitions) == 1 for partitions in by_viewer.values())
    assert 0 <= time.time() * 1000 - max(received) < 120_000

    with connect_postgres(stack) as conn:
        found = load_catalogue(conn)
    names = {msgspec.json.decode(m.value())["campaign_id"] for m in arrived if m.key()} - {17}
    assert names <= found.campaigns.keys()

    since = ends(stack.url("kafka"))
    again = replay_file(stack, path)
    assert (again.shift_ms, again.repeated) == (summary.shift_ms, True)
    values = sorted(message.value() for message in arrived)
    assert sorted(message.value() for message in consume(stack.url("kafka"), since)) == values


@pytest.mark.services
def test_too_large_for_the_topic_is_counted_not_hidden(stack, tmp_path):
    path = tmp_path / "events.ndjson"
    rows = [{"schema": "view/1"}, {"schema": "x" * 17 * 1024 * 1024}, {"schema": "view/1"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    summary = replay_file(stack, path)
    assert (summary.read, summary.sent, summary.failed.total()) == (3, 2, 1)
    assert "too large" in " ".join(summary.failed).lower()


@pytest.mark.services
def test_ten_megabytes_arrive(stack, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text(json.dumps({"schema": "view/1", "referrer": "x" * 10 * 1024 * 1024}))
    assert replay_file(stack, path).sent == 1


@pytest.mark.services
def test_ctrl_c_waits_for_what_was_sent(stack):
    failed = Counter()
    producer = connect(stack.url("kafka"), failed)
    since = sum(ends(stack.url("kafka")).values())

    def some():
        yield from ((None, b"x") for _ in range(1_500))
        raise KeyboardInterrupt

    done = produce(producer, some(), failed)
    assert done.interrupted
    assert done.sent == done.read == sum(ends(stack.url("kafka")).values()) - since
    assert done.sent >= 1_000


@pytest.mark.services
def test_a_wrong_file_sends_nothing(stack, tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text(
        "ip,app,device,os,channel,click_time\n1,2,3,4,5,2017-11-07 11:31:40\n1,2,3,4,5,never\n"
    )
    since = ends(stack.url("kafka"))
    with pytest.raises(Problem, match="line 3"):
        replay_file(stack, path, "talkingdata")
    assert ends(stack.url("kafka")) == since
