"""What a client of the front door does, by hand: no SDK, so that both can be wrong only once."""

import hashlib
import hmac
import json
import time
from typing import Any, NamedTuple

import httpx
from confluent_kafka import Consumer, Message, TopicPartition
from support.events import event

from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW

ORIGIN = "https://site.example"


class Keys(NamedTuple):
    """Tokens."""

    page: str
    server: str


def fresh(number: int = 0, **changes: Any) -> dict[str, Any]:
    """An event of now that nobody has sent yet."""
    now = time.time_ns() // 1_000_000
    unique = f"e-{time.time_ns():x}-{number}"
    return event(**{"event_id": unique, "occurred_at": now, "sent_at": now} | changes)


def signed(token: str, body: bytes, timestamp_ms: int | None = None) -> dict[str, str]:
    """The headers of a server's request."""
    prefix, key_id, secret = token.split("_", 2)
    at = str(time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms)
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Viewledger-Key": f"{prefix}_{key_id}",
        "X-Viewledger-Timestamp": at,
        "X-Viewledger-Signature": f"v1={digest}",
        "Content-Type": "application/json",
    }


def send_as_page(url: str, keys: Keys, body: bytes | object, **headers: str) -> httpx.Response:
    """As `navigator.sendBeacon` of a page does it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(
        f"{url}/v1/views?key={keys.page}",
        content=content,
        headers={"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8", **headers},
        timeout=20,
    )


def send_as_server(url: str, keys: Keys, body: bytes | object, **headers: str) -> httpx.Response:
    """As a server with a secret key does it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = signed(keys.server, content) | headers
    return httpx.post(f"{url}/v1/views", content=content, headers=all_headers, timeout=20)


def raw_messages(settings: Settings, event_ids: set[str]) -> list[Message]:
    """The messages of views.raw with these event ids, of everything that is there now."""
    consumer = Consumer(
        {
            **KafkaUrl.parse(settings.url("kafka")).for_confluent(),
            "group.id": "tests-of-the-door",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    found: list[Message] = []
    try:
        for partition in range(settings.partitions):
            tp = TopicPartition(RAW, partition)
            low, high = consumer.get_watermark_offsets(tp, timeout=10)
            consumer.assign([TopicPartition(RAW, partition, low)])
            at = low
            while at < high:
                message = consumer.poll(10)
                assert message is not None, f"nothing at {at} of {high} in partition {partition}"
                assert message.error() is None, message.error()
                at = message.offset() + 1
                try:
                    if json.loads(message.value())["event_id"] in event_ids:
                        found.append(message)
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
    finally:
        consumer.close()
    return found
