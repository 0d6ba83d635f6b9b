"""Claiming a partition on a real Kafka: markers, restoring, zombies, and lost data."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support.blocks import START, block_value

from pipeline.score import log as scored_log
from pipeline.score.claim import Claim, LostDataError, claim
from pipeline.score.log import ScoredLog
from pipeline.score.state import save_snapshot, to_arrays
from pipeline.score.window import digests
from schemas.block import decode_accepted
from schemas.fencing import Stamp
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

pytestmark = pytest.mark.services
HOURS = 27


@pytest.fixture
def kafka(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> KafkaUrl:
    """Topics of its own for every test, with 100 events in the raw one."""
    url = KafkaUrl.parse(stack.url("kafka"))
    names = {name: f"{name.lower()}-{uuid.uuid4().hex[:8]}" for name in ("RAW", "SCORED")}
    admin = AdminClient(url.for_confluent())
    for name, topic in names.items():
        monkeypatch.setattr(scored_log, name, topic)
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer(url.for_confluent())
    for number in range(100):
        producer.produce(names["RAW"], str(number).encode(), partition=0)
    assert producer.flush(30) == 0
    return url


def run(kafka: KafkaUrl, steps: Callable[[ScoredLog], Awaitable[None]]) -> None:
    """Runs steps on the one partition of the log."""

    async def inside() -> None:
        async with ScoredLog(kafka, 0) as scored:
            await steps(scored)

    asyncio.run(inside())


async def write(scored: ScoredLog, held: Claim, start: int, stop: int) -> None:
    """A block of one accepted view per raw offset, by the holder of a claim."""
    epoch = held.progress.position.epoch
    stamp = Stamp("block", held.writer, epoch, start, stop)
    await scored.append(stamp, block_value(start, stop - start))


def delete(kafka: KafkaUrl, topic: str, before: int) -> None:
    """What retention does to the beginning of a topic."""
    admin = AdminClient(kafka.for_confluent())
    for done in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        done.result(30)


def known(held: Claim, start: int, stop: int) -> list[bool]:
    """Which of the events are in the duplicate window of a claim."""
    ids = decode_accepted(block_value(start, stop - start), ["event_id"])["event_id"].to_pylist()
    seen: list[bool] = held.state.events.seen(digests(ids), START).tolist()
    return seen


def test_a_new_writer_goes_on_where_the_last_one_was(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        first = await claim(scored, 0, tmp_path / "none", HOURS)
        assert first.progress.position == (1, first.writer, 0)
        await write(scored, first, 0, 10)
        await write(scored, first, 10, 15)
        second = await claim(scored, 0, tmp_path / "none", HOURS)
        assert second.progress.position == (2, second.writer, 15)
        assert known(second, 0, 20) == [True] * 15 + [False] * 5

    run(kafka, steps)


def test_what_a_zombie_wrote_is_not_restored(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        zombie = await claim(scored, 0, tmp_path / "none", HOURS)
        heir = await claim(scored, 0, tmp_path / "none", HOURS)
        await write(scored, zombie, 0, 10)
        await write(scored, heir, 0, 5)
        await write(scored, zombie, 5, 10)
        await write(scored, heir, 7, 9)  # a block was lost before it
        third = await claim(scored, 0, tmp_path / "none", HOURS)
        assert third.progress.position.next_raw == 5
        assert known(third, 0, 10) == [True] * 5 + [False] * 5

    run(kafka, steps)


def test_of_two_at_once_the_later_marker_holds(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        async with ScoredLog(kafka, 0) as other:
            claims = await asyncio.gather(
                claim(scored, 0, tmp_path / "none", HOURS),
                claim(other, 0, tmp_path / "none", HOURS),
            )
        epochs = sorted(held.progress.position.epoch for held in claims)
        assert epochs[0] < epochs[1]
        for held in claims:
            await write(scored, held, 0, held.progress.position.epoch)
        last = await claim(scored, 0, tmp_path / "none", HOURS)
        assert last.progress.position.next_raw == epochs[1]

    run(kafka, steps)


def test_a_snapshot_and_the_rest_of_the_log_make_the_same_state(
    kafka: KafkaUrl, tmp_path: Path
) -> None:
    async def steps(scored: ScoredLog) -> None:
        first = await claim(scored, 0, tmp_path / "none", HOURS)
        await write(scored, first, 0, 10)
        half = await claim(scored, 0, tmp_path / "none", HOURS)
        save_snapshot(tmp_path / "s.npz", to_arrays(half.state, half.progress))
        await write(scored, half, 10, 20)
        by_snapshot = await claim(scored, 0, tmp_path / "s.npz", HOURS)
        by_log = await claim(scored, 0, tmp_path / "none", HOURS)
        for held in (by_snapshot, by_log):
            assert held.progress.position.next_raw == 20
            assert known(held, 0, 25) == [True] * 20 + [False] * 5

    run(kafka, steps)


def test_raw_events_that_were_deleted_unjudged_are_named(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        held = await claim(scored, 0, tmp_path / "none", HOURS)
        await write(scored, held, 0, 10)
        delete(kafka, scored_log.RAW, 30)
        with pytest.raises(LostDataError, match="offsets 10 to 29 were deleted"):
            await claim(scored, 0, tmp_path / "none", HOURS)

    run(kafka, steps)


def test_a_raw_topic_that_is_too_short_is_another_one(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        held = await claim(scored, 0, tmp_path / "none", HOURS)
        await write(scored, held, 0, 101)
        with pytest.raises(LostDataError, match="ends at 100, but was judged up to 101"):
            await claim(scored, 0, tmp_path / "none", HOURS)

    run(kafka, steps)


def test_a_log_without_its_beginning_needs_a_snapshot(kafka: KafkaUrl, tmp_path: Path) -> None:
    async def steps(scored: ScoredLog) -> None:
        held = await claim(scored, 0, tmp_path / "none", HOURS)
        await write(scored, held, 0, 10)
        after = await claim(scored, 0, tmp_path / "none", HOURS)
        save_snapshot(tmp_path / "s.npz", to_arrays(after.state, after.progress))
        delete(kafka, scored_log.SCORED, 2)
        with pytest.raises(LostDataError, match="begins at 2"):
            await claim(scored, 0, tmp_path / "none", HOURS)
        again = await claim(scored, 0, tmp_path / "s.npz", HOURS)
        assert again.progress.position.next_raw == 10

    run(kafka, steps)
