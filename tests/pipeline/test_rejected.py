import ipaddress
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from support.blocks import START, block
from support.events import encode
from support.stores import catch_up, empty_store

from pipeline.offsets import topic_ranges
from pipeline.rejected import RejectedError, excerpt, find_messages, read_rejected
from pipeline.rejected_replay import Replayed, replay_rejected
from schemas.fencing import Stamp
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED
from sinks import postgres
from sinks.clickhouse import connect
from sinks.rejected import intend_replay
from sinks.store import insert_block

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(addresses, st.text(max_size=300), st.text(max_size=300))
def test_an_excerpt_shows_no_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, before: str, after: str
) -> None:
    event = json.dumps({"note": before, "ip": str(address), "more": after}).encode()
    shown = excerpt(event, 400)
    if str(address) not in before + after:
        assert str(address) not in shown
    assert len(shown) <= 400
    assert shown.isprintable()


@given(addresses, st.integers(0, 60))
def test_nor_half_of_one(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, before: int
) -> None:
    """Wherever the end of what is looked at, or of what is shown, cuts it in two."""
    for length in (40, 60):
        value = b"x" * (4 * length + 64 - before) + b'"' + str(address).encode()
        assert excerpt(value, length) == "x" * (length - 1) + "…"
    assert str(address)[:3] not in excerpt(b'{"ip":"' + str(address).encode() + b'"}', 12)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_excerpt(value: bytes) -> None:
    shown = excerpt(value, 50)
    assert len(shown) <= 50
    assert shown.isprintable()


PARTITION = 2


class Bench:
    """Refused events in views.rejected and in ClickHouse, under coordinates of their own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.base = random.SystemRandom().randrange(10**6, 10**15)
        self.kafka = KafkaUrl.parse(settings.url("kafka")).for_confluent()
        self.raw_end = topic_ranges(settings, RAW)[PARTITION][1]

    def refuse(
        self, number: int, value: bytes | None, reason: str = "not_json", **log: Any
    ) -> None:
        """Event `number` is written to the topic."""
        headers = {
            "refusal": reason,
            "detail": "some detail",
            "raw_partition": str(PARTITION),
            "raw_offset": str(self.base + number),
            "log_time": str(log.get("log_time", START)),
        }
        producer = Producer(self.kafka)
        encoded = [(name, text.encode()) for name, text in headers.items()]
        producer.produce(REJECTED, value, b"viewer-0001", partition=PARTITION, headers=encoded)
        assert producer.flush(20) == 0

    def confirm(self, numbers: list[int], accepted: int = 1) -> None:
        """A block says that these were refused, and that one event behind them was accepted."""
        rows = max(numbers) + 1 + accepted
        stamp = Stamp("block", "w", 1, self.base, self.base + rows)
        made = block(
            self.base,
            rows,
            partition=PARTITION,
            gap_ms=0,
            refused=numbers,
            duplicates=[n for n in range(max(numbers) + 1) if n not in numbers],
        )
        with connect(self.settings.url("clickhouse")) as client:
            insert_block(client, PARTITION, 1, START, stamp, made)

    def accepted_id(self, number: int) -> str:
        return f"event-{PARTITION}-{self.base + number:012d}"

    def sent(self) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
        """Key, value and headers of what came into views.raw since."""
        end = topic_ranges(self.settings, RAW)[PARTITION][1]
        if end == self.raw_end:
            return []
        consumer = Consumer(self.kafka | {"group.id": "test"})
        consumer.assign([TopicPartition(RAW, PARTITION, self.raw_end)])
        found = consumer.consume(end - self.raw_end, timeout=30)
        consumer.close()
        return [(message.key(), message.value(), message.headers()) for message in found]


@pytest.fixture
def bench(stack: Settings) -> Iterator[Bench]:
    return Bench(empty_store(stack, "clickhouse", "postgres"))


def again(log_time: int = START) -> list[tuple[str, bytes]]:
    return [("replay_log_time", str(log_time).encode())]


@pytest.mark.services
def test_every_refused_event_is_sent_once(bench: Bench) -> None:
    unconfirmed = sum(len(batch) for batch in read_rejected(bench.settings))
    bench.refuse(0, b"{")
    bench.refuse(1, None, log_time=START + 5)
    bench.refuse(0, b"{")  # the topic is at-least-once
    bench.confirm([0, 1])
    assert replay_rejected(bench.settings) == Replayed(sent=2, unconfirmed=unconfirmed)
    expected = [(b"viewer-0001", b"{", again()), (b"viewer-0001", None, again(START + 5))]
    assert sorted(bench.sent(), key=str) == sorted(expected, key=str)
    second = replay_rejected(bench.settings)
    assert second == Replayed(sent_before=2, unconfirmed=unconfirmed)
    assert len(bench.sent()) == 2


@pytest.mark.services
def test_the_log_decides_what_was_refused(bench: Bench) -> None:
    """A scorer that had lost its partition wrote 1 and 2; 2 was accepted, 1 is a duplicate."""
    for number in (0, 1, 2):
        bench.refuse(number, b"%d" % number)
    bench.confirm([0])
    with connect(bench.settings.url("clickhouse")) as client:
        client.command(
            "INSERT INTO views_rejected SELECT * REPLACE (raw_offset + 1 AS raw_offset,"
            " 'duplicate' AS reason) FROM views_rejected"
        )
    assert replay_rejected(bench.settings, "not_json").sent == 1
    assert [value for _, value, _ in bench.sent()] == [b"0"]


@pytest.mark.services
def test_only_one_reason(bench: Bench) -> None:
    bench.refuse(0, b"{")
    bench.confirm([0])
    assert replay_rejected(bench.settings, "too_late").sent == 0
    assert replay_rejected(bench.settings, "not_json").sent == 1


@pytest.mark.services
def test_what_was_accepted_since_is_not_sent(bench: Bench) -> None:
    """The duplicate window forgets it after a day; ClickHouse does not."""
    bench.refuse(0, encode(event_id=bench.accepted_id(2)))
    bench.refuse(1, encode(event_id="another-event-0001"))
    bench.confirm([0, 1])
    done = replay_rejected(bench.settings)
    assert (done.sent, done.accepted_before) == (1, 1)
    assert [json.loads(value)["event_id"] for _, value, _ in bench.sent()] == ["another-event-0001"]
    assert replay_rejected(bench.settings).sent_before == 2


@pytest.mark.services
def test_a_crash_before_the_mark_loses_nothing(bench: Bench) -> None:
    bench.refuse(0, b"{")
    bench.confirm([0])
    with postgres.connect(bench.settings) as conn:
        assert intend_replay(conn, PARTITION, [bench.base]) == ([bench.base], [])
    catch_up(bench.settings, "book")
    with connect(bench.settings.url("clickhouse")) as client:  # so that it counts as drained
        client.command("ALTER TABLE blocks DELETE WHERE 1", settings={"mutations_sync": 2})
    catch_up(bench.settings, "store")
    assert replay_rejected(bench.settings).sent == 1
    assert len(bench.sent()) == 1


@pytest.mark.services
def test_one_at_a_time(bench: Bench) -> None:
    with postgres.connect(bench.settings) as conn:
        conn.execute("SELECT pg_advisory_lock(hashtext('rejected replay'))")
        with pytest.raises(RejectedError, match=r"another .* is running"):
            replay_rejected(bench.settings)


@pytest.mark.services
def test_examples_are_found(bench: Bench) -> None:
    bench.refuse(0, b"{")
    bench.refuse(1, b"[")
    wanted = {(PARTITION, bench.base + 1)}
    found = find_messages(bench.settings, wanted, since_ms=START)
    assert {at: message.value for at, message in found.items()} == dict.fromkeys(wanted, b"[")
    assert find_messages(bench.settings, wanted, since_ms=4_000_000_000_000) == {}
