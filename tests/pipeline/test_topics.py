"""Topics are created once, and a wrong one is not used."""

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from pipeline import topics
from pipeline.topics import TopicError, ensure_topics
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, SCORED, TOPICS, Topic, rewriting


@pytest.fixture
def admin(stack: Settings) -> AdminClient:
    return AdminClient(KafkaUrl.parse(stack.url("kafka")).for_confluent())


@pytest.mark.services
def test_all_topics_are_there_with_their_settings(stack: Settings, admin: AdminClient) -> None:
    ensure_topics(stack)  # a second time: the fixture has called it
    found = admin.list_topics(timeout=30).topics
    for topic in TOPICS:
        assert len(found[topic.name].partitions) == stack.partitions
        (future,) = admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, topic.name)]
        ).values()
        config = {name: entry.value for name, entry in future.result().items()}
        assert config.items() >= topic.config.items()


@pytest.mark.services
def test_another_partition_count_is_refused(stack: Settings) -> None:
    with pytest.raises(TopicError, match=r"views.raw has 4 partitions, VIEWLEDGER_PARTITIONS .* 5"):
        ensure_topics(stack.model_copy(update={"partitions": 5}))


def _alter(admin: AdminClient, name: str, value: str, topic: str = RAW) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    (future,) = admin.incremental_alter_configs([resource]).values()
    future.result()


@pytest.fixture
def forgeable(admin: AdminClient) -> Iterator[None]:
    _alter(admin, "message.timestamp.type", "CreateTime")
    yield
    _alter(admin, "message.timestamp.type", "LogAppendTime")


@pytest.mark.services
@pytest.mark.usefixtures("forgeable")
def test_a_topic_whose_time_can_be_forged_is_refused(stack: Settings) -> None:
    with pytest.raises(TopicError, match=r"message.timestamp.type=CreateTime, needs LogAppendTime"):
        ensure_topics(stack)


@pytest.mark.services
@pytest.mark.parametrize(
    ("topic", "name", "wrong", "needed"),
    [(SCORED, "retention.ms", "9000000000", "-1"), (RAW, "cleanup.policy", "compact", "delete")],
)
def test_a_topic_that_loses_what_it_has_is_refused(
    stack: Settings, admin: AdminClient, topic: str, name: str, wrong: str, needed: str
) -> None:
    _alter(admin, name, wrong, topic)
    try:
        with pytest.raises(TopicError, match=f"{topic} has {name}={wrong}, needs {needed}"):
            ensure_topics(stack)
    finally:
        _alter(admin, name, needed, topic)


@pytest.mark.services
def test_how_long_raw_events_are_kept_is_the_operator_s(
    stack: Settings, admin: AdminClient
) -> None:
    before = str(7 * 24 * 3600 * 1000)
    _alter(admin, "retention.ms", "9000000000")
    ensure_topics(stack)
    _alter(admin, "retention.ms", before)


def test_a_kafka_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.topics._CONNECT_S", 1)
    with pytest.raises(TopicError, match=r"Kafka at 127.0.0.1:1 does not answer: .*refused"):
        ensure_topics(Settings(kafka="kafka://127.0.0.1:1"))
    assert capfd.readouterr().err == ""


@pytest.mark.services
def test_a_topic_that_is_written_anew_is_left_alone(
    stack: Settings, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"anew-{uuid.uuid4().hex[:8]}"
    wanted = Topic(name, {"message.timestamp.type": "LogAppendTime"})
    monkeypatch.setattr(topics, "TOPICS", (Topic(RAW, {}), wanted))
    for one in (name, rewriting(name)):
        admin.create_topics([NewTopic(one, 1, 1)])[one].result(30)
    ensure_topics(stack)
    admin.delete_topics([rewriting(name)])[rewriting(name)].result(30)
    with pytest.raises(TopicError, match="has 1 partitions"):
        ensure_topics(stack)
