"""Deleting a topic and making it anew with the settings that it had."""

import time
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)
from confluent_kafka.error import KafkaError

from pipeline.erase.messages import CopyError
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

_TIMEOUT_S = 30
_WHILE_COPYING = {
    "message.timestamp.type": "CreateTime",  # every message keeps its time
    "retention.ms": "-1",
    "retention.bytes": "-1",
}


def connect(settings: Settings) -> AdminClient:
    """A client for what follows."""
    return AdminClient(KafkaUrl.parse(settings.url("kafka")).for_confluent() | {"log_level": 0})


def describe(admin: AdminClient, name: str) -> dict[str, Any]:
    """`partitions`, `replication` and the topic's own `config`."""
    found = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name]
    if found.error is not None:
        raise KafkaException(found.error)
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {
        "partitions": len(found.partitions),
        "replication": len(found.partitions[0].replicas),
        "config": {e.name: e.value for e in _config(admin, name) if e.source == own},
    }


def settings_of(admin: AdminClient, name: str) -> dict[str, str]:
    """All settings of a topic, the defaults included."""
    return {entry.name: entry.value for entry in _config(admin, name)}


def _config(admin: AdminClient, name: str) -> list[ConfigEntry]:
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    return list(future.result().values())


def make_empty(admin: AdminClient, name: str, plan: dict[str, Any]) -> None:
    """Deletes a topic where it is there, and makes it as planned, ready to be copied into."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        delete(admin, name)
        config = plan["config"] | _WHILE_COPYING
        wanted = NewTopic(name, plan["partitions"], plan["replication"], config=config)
        try:
            admin.create_topics([wanted], operation_timeout=_TIMEOUT_S)[name].result()
            break
        except KafkaException as error:
            # Not gone yet everywhere, or made by `viewledger up` just now.
            again = error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
            if not again or time.monotonic() > deadline:
                raise
    while name not in admin.list_topics(timeout=_TIMEOUT_S).topics:
        _wait(deadline, f"Kafka made {name}, but does not list it")


def delete(admin: AdminClient, name: str) -> None:
    """Deletes a topic; does nothing where there is none."""
    try:
        admin.delete_topics([name], operation_timeout=_TIMEOUT_S)[name].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
    deadline = time.monotonic() + _TIMEOUT_S
    while name in admin.list_topics(timeout=_TIMEOUT_S).topics:
        _wait(deadline, f"Kafka deleted {name}, but lists it still")


def give_back_config(admin: AdminClient, name: str, plan: dict[str, Any]) -> None:
    """Sets what was set otherwise while copying."""
    had = plan["config"]
    entries = [
        ConfigEntry(key, had.get(key), incremental_operation=_operation(key in had))
        for key in _WHILE_COPYING
    ]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    (future,) = admin.incremental_alter_configs([resource]).values()
    future.result()


def _operation(is_set: bool) -> AlterConfigOpType:
    return AlterConfigOpType.SET if is_set else AlterConfigOpType.DELETE


def _wait(deadline: float, why: str) -> None:
    if time.monotonic() > deadline:
        raise CopyError(f"{why} after {_TIMEOUT_S} s")
    time.sleep(0.05)
