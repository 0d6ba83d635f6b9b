"""Traffic while processes are killed and stopped at random, from a seed."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.embedded.stack import processes, start_workers, stop_workers
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, SCORED

SECOND = "score-1"


class Chaos:
    """Does one harmful thing after another, and remembers what it did."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings = settings
        self.random = random.Random(seed)
        self.story: list[str] = []

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Harms until `goes_on` says no."""
        deeds = [self.kill] * 6 + [self.freeze] * 2 + [self.second_scorer] * 2 + [self.rewind]
        while goes_on():
            time.sleep(self.random.uniform(0.3, 4))
            self.random.choice(deeds)()

    def kill(self) -> None:
        """kill -9 of any process, a service or a worker."""
        victim = self.random.choice(
            ["score-0", SECOND, "store", "book", "kafka", "clickhouse", "postgres", "redis"]
        )
        self._send(victim, signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP, now and then for longer than the group waits, then SIGCONT."""
        victim = self.random.choice(["score-0", SECOND, "store", "book", "redis"])
        pid = self._send(victim, signal.SIGSTOP)
        time.sleep(self.random.choice([0.5, 2, 13]))
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGCONT)

    def second_scorer(self) -> None:
        """Starts or stops another scorer, so that partitions move."""
        running = self._pid(SECOND) is not None
        self.story.append(f"{'stop' if running else 'start'} {SECOND}")
        (stop_workers if running else start_workers)(self.settings, [SECOND])

    def rewind(self) -> None:
        """Sets the committed offsets of a consumer group back to 0."""
        name = self.random.choice(["score", "store", "book"])
        topic = RAW if name == "score" else SCORED
        workers = ["score-0", SECOND] if name == "score" else [name]
        stop_workers(self.settings, workers)
        back = [TopicPartition(topic, p, 0) for p in range(self.settings.partitions)]
        request = ConsumerGroupTopicPartitions(f"viewledger-{name}", back)
        admin = AdminClient(KafkaUrl.parse(self.settings.url("kafka")).for_confluent())
        try:
            # Static members stay until their session ends: the group is empty after that.
            for _ in range(14):
                with suppress(KafkaException, TimeoutError):
                    admin.alter_consumer_group_offsets([request])[request.group_id].result(5)
                    self.story.append(f"rewind {name}")
                    return
                time.sleep(1)
            self.story.append(f"rewind {name}: not possible now")
        finally:
            start_workers(self.settings, workers[:1])

    def _send(self, name: str, number: signal.Signals) -> int | None:
        pid = self._pid(name)
        self.story.append(f"{number.name} {name}{'' if pid else ' (not running)'}")
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(number)
        return pid

    def _pid(self, name: str) -> int | None:
        found = {process.name: process.pid for process in processes(self.settings)}
        return found.get(name)


def start_replay(settings: Settings, file: Path, rate: int) -> "subprocess.Popen[str]":
    """`viewledger replay` as its user runs it."""
    command = [Path(sys.executable).with_name("viewledger"), "replay", file, "--rate", str(rate)]
    return subprocess.Popen(
        [str(part) for part in command],
        env={"VIEWLEDGER_DATA": str(settings.data), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
