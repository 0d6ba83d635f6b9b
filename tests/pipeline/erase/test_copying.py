"""A topic that is copied is the same topic, or it is refused."""

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from support.blocks import block_value
from support.events import encode

from pipeline.erase import redact
from pipeline.erase import topic as topics
from pipeline.erase.messages import CopyError, Message, copy, digests, read, without_gaps
from pipeline.erase.redact import check_copy, redacted
from schemas.block import decode_accepted
from schemas.erased import Erased, digest
from schemas.fencing import Stamp, to_headers
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

pytestmark = pytest.mark.services

LOG_APPEND = {"message.timestamp.type": "LogAppendTime", "segment.bytes": "1048577"}
GONE = Erased(b"", {digest(b"", b"viewer-0001"): "erased-" + "0" * 32})


@pytest.fixture
def admin(stack: Settings) -> AdminClient:
    return topics.connect(stack)


@pytest.fixture
def topic(admin: AdminClient) -> Iterator[str]:
    name = f"copied-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, 2, 1, config=LOG_APPEND)])[name].result(30)
    yield name
    for one in (name, f"{name}.copy"):
        topics.delete(admin, one)


def produce(stack: Settings, topic: str, values: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer(KafkaUrl.parse(stack.url("kafka")).for_confluent())
    for n, (key, value) in enumerate(values):
        headers = [("same", b"1"), ("same", str(n).encode()), ("empty", b"")]
        producer.produce(topic, value, key, n % 2, headers=headers)
    assert producer.flush(30) == 0


def all_of(stack: Settings, topic: str) -> list[list[Message]]:
    return [list(read(stack, topic, partition)) for partition in range(2)]


def test_a_copy_is_the_same_to_the_millisecond(
    stack: Settings, admin: AdminClient, topic: str
) -> None:
    produce(stack, topic, [(None, b""), (b"k", None), (b"", b"v"), (b"k", b"x" * 900_000)])
    plan = topics.describe(admin, topic)
    assert plan == {"partitions": 2, "replication": 1, "config": LOG_APPEND}
    beside = f"{topic}.copy"
    for _ in range(2):  # whatever an interrupted one left
        topics.make_empty(admin, beside, plan)
        assert copy(stack, lambda p: read(stack, topic, p), beside, 2, lambda n: None) == 4
    assert all_of(stack, beside) == all_of(stack, topic)
    assert digests(stack, beside, 2) == digests(stack, topic, 2)
    topics.give_back_config(admin, beside, plan)
    assert topics.describe(admin, beside) == plan


def test_every_difference_changes_the_digest(stack: Settings, topic: str) -> None:
    produce(stack, topic, [(b"k", b"value")])
    before = digests(stack, topic, 2)
    produce(stack, topic, [(b"k", b"value")])
    after = digests(stack, topic, 2)
    assert before["0"] != after["0"]
    assert before["1"] == after["1"]


def test_offsets_with_gaps_are_refused(stack: Settings, topic: str) -> None:
    config = KafkaUrl.parse(stack.url("kafka")).for_confluent()
    producer = Producer(config | {"transactional.id": topic})
    producer.init_transactions(30)
    for value in (b"1", b"2"):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.commit_transaction(30)
    with pytest.raises(CopyError, match="offset 1 is not there, the next one is 2"):
        list(without_gaps(read(stack, topic, 0), topic))


def test_somebody_else_who_writes_is_noticed(
    stack: Settings, admin: AdminClient, topic: str
) -> None:
    produce(stack, topic, [(b"k", b"v"), (b"k", b"v")])
    beside = f"{topic}.copy"
    topics.make_empty(admin, beside, topics.describe(admin, topic))
    produce(stack, beside, [(b"zombie", b"v")])
    with pytest.raises(CopyError, match="somebody else writes"):
        copy(stack, lambda p: read(stack, topic, p), beside, 2, lambda n: None)


def test_rejected_events_of_other_viewers_are_all_there(
    stack: Settings, admin: AdminClient, topic: str
) -> None:
    other = encode(viewer_id="viewer-0002")
    produce(
        stack, topic, [(b"viewer-0001", b"{"), (b"viewer-0002", other)] * 2 + [(None, encode())]
    )
    beside = f"{topic}.copy"
    topics.make_empty(admin, beside, topics.describe(admin, topic))
    copy(stack, redacted(stack, topic, GONE), beside, 2, lambda n: None)
    assert check_copy(stack, topic, beside, 2, GONE) == (2, 3)
    assert {m.key for partition in all_of(stack, beside) for m in partition} == {b"viewer-0002"}
    with pytest.raises(CopyError, match="one of the two topics ends"):
        check_copy(stack, topic, beside, 2, Erased())


def test_a_wrong_copy_of_blocks_is_found(
    stack: Settings, admin: AdminClient, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redact, "SCORED", topic)
    # Idempotent, or a retry could change their order.
    kafka = KafkaUrl.parse(stack.url("kafka")).for_confluent()
    producer = Producer({**kafka, "enable.idempotence": True})
    producer.produce(topic, None, b"marker", 0, headers=to_headers(Stamp("marker", "w", 1)))
    headers = to_headers(Stamp("block", "w", 1, 0, 20))
    producer.produce(topic, block_value(0, 20), b"block", 0, headers=headers)
    assert producer.flush(30) == 0
    beside = f"{topic}.copy"
    topics.make_empty(admin, beside, topics.describe(admin, topic))
    copy(stack, lambda p: read(stack, topic, p), beside, 2, lambda n: None)
    assert check_copy(stack, topic, beside, 2, GONE) == (2, 0)
    (_, block), _ = all_of(stack, topic)
    assert block.value is not None
    names = decode_accepted(block.value, ["viewer_id"])["viewer_id"].to_pylist()
    somebody = Erased(b"", {digest(b"", name.encode()): "erased-x" for name in names})
    with pytest.raises(CopyError, match="offset 1: an erased viewer is still named"):
        check_copy(stack, topic, beside, 2, somebody)
    topics.make_empty(admin, beside, topics.describe(admin, topic))
    copy(stack, redacted(stack, topic, somebody), beside, 2, lambda n: None)
    assert check_copy(stack, topic, beside, 2, somebody) == (2, 20)
    produce(stack, topic, [(b"zombie", b"v")])
    with pytest.raises(CopyError, match="one of the two topics ends"):
        check_copy(stack, topic, beside, 2, somebody)
