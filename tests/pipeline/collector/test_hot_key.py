"""One viewer floods a partition: the others are taken at the door, and judged long before it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.door import Keys, fresh, raw_messages, send_as_page, send_as_server
from support.own_collector import until

from pipeline.embedded.stack import start_workers, stop_workers
from pipeline.offsets import topic_ranges
from schemas.fencing import from_headers
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, SCORED

pytestmark = pytest.mark.services
FLOOD = 60_000
BATCH = 500
OTHERS_AFTER = 40


class Block(NamedTuple):
    """Of views.scored."""

    partition: int
    raw_from: int
    raw_next: int
    log_time: int


def test_others_do_not_wait_for_a_flood(stack: Settings, collector: str, keys: Keys) -> None:
    mark = f"hot-{time.time_ns():x}"
    waits: list[float] = []

    def flood(number: int) -> None:
        ids = [f"{mark}-{number:06}-{n:06}" for n in range(BATCH)]
        body = json.dumps([fresh(event_id=one, viewer_id=mark) for one in ids]).encode()
        while send_as_server(collector, keys, body).status_code == 503:
            time.sleep(0.1)

    def other(number: int) -> str:
        started = time.perf_counter()
        sent = fresh(event_id=f"{mark}-other-{number:06}", viewer_id=f"{mark}-{number}")
        while (answer := send_as_page(collector, keys, sent)).status_code == 503:
            time.sleep(0.1)
        assert answer.json() == {"accepted": 1, "rejected": []}
        waits.append(time.perf_counter() - started)
        return str(sent["event_id"])

    with ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(flood, number) for number in range(FLOOD // BATCH)]
        others = []
        while not all(one.done() for one in floods):
            others.append(other(len(others)))
        assert all(one.exception() is None for one in floods)
    # And some that come when all of it waits to be judged.
    others += [other(len(others)) for _ in range(OTHERS_AFTER)]

    begins = {f"{mark}-{number:06}-{0:06}" for number in range(FLOOD // BATCH)}
    messages = raw_messages(stack, {*begins, *others})
    found = {json.loads(one.value() or b"")["event_id"]: one for one in messages}
    # Of the first batches any may have come first, and some may have come twice.
    first = min((found.pop(begin) for begin in begins), key=lambda one: int(one.offset()))
    hot = first.partition()
    # Who shares the partition with the flood waits for its turn: order is kept per partition.
    beside = [one for one in found.values() if one.partition() != hot]
    assert len(beside) > OTHERS_AFTER / 8  # their partitions are a matter of chance

    start_workers(stack, ["score-0"])
    try:
        ends = {hot: topic_ranges(stack, RAW)[hot][1]}
        for one in beside:
            ends[one.partition()] = max(ends.get(one.partition(), 0), one.offset() + 1)
        until(lambda: not _missing(_blocks(stack), ends), 120)
        blocks = _blocks(stack)
    finally:
        stop_workers(stack, ["score-0"])
    done_at = max(_covering(blocks, one.partition(), one.offset()).log_time for one in beside)
    judged = [block for block in blocks if block.partition == hot and block.log_time <= done_at]
    flooded = max([0, *(block.raw_next - first.offset() for block in judged)])
    print(
        f"{len(others)} others taken in {median(waits) * 1000:.0f} ms, at most "
        f"{max(waits) * 1000:.0f} ms; judged when {flooded:,} of {FLOOD:,} of the flood were"
    )
    assert flooded < FLOOD / 2


def _missing(blocks: list[Block], ends: dict[int, int]) -> list[int]:
    done = dict.fromkeys(ends, 0)
    for block in blocks:
        done[block.partition] = max(done.get(block.partition, 0), block.raw_next)
    return [partition for partition, end in ends.items() if done[partition] < end]


def _covering(blocks: list[Block], partition: int, offset: int) -> Block:
    return next(
        block
        for block in blocks
        if block.partition == partition and block.raw_from <= offset < block.raw_next
    )


def _blocks(stack: Settings) -> list[Block]:
    """All blocks of views.scored."""
    config = KafkaUrl.parse(stack.url("kafka")).for_confluent()
    consumer = Consumer(config | {"group.id": "tests-of-hot-keys", "enable.auto.commit": False})
    found = []
    try:
        for partition in range(stack.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(SCORED, partition), 10)
            consumer.assign([TopicPartition(SCORED, partition, low)])
            at = low
            while at < high:
                message = consumer.poll(10)
                assert message is not None
                assert message.error() is None
                at = message.offset() + 1
                stamp = from_headers(message.headers() or [])
                if stamp.kind == "block":
                    log_time = message.timestamp()[1]
                    found.append(Block(partition, stamp.raw_from, stamp.raw_next, log_time))
    finally:
        consumer.close()
    return found
