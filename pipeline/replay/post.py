"""Events through the front door, by the Python SDK: accepted, rejected, or counted as failed."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from pipeline.cli.problems import Problem
from pipeline.replay.produce import Produced
from viewledger_sdk import Client, ConfigError, InvalidEvent, QueueFull
from viewledger_sdk import Problem as Refused

_BATCH = 1_000
_ANSWER_SECONDS = 15.0
_LOOK_SECONDS = 0.5
_REJECTED = frozenset({202, 400, 413})
"""Statuses that judge an event; others refuse the sender."""


class Door(NamedTuple):
    """Where the collector is, and who sends."""

    endpoint: str
    key: str


class _Sending:
    """A client, and what it was told."""

    def __init__(self, door: Door) -> None:
        self.rejected: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.refused: Refused | None = None
        self._door, self._started = door, time.monotonic()
        try:
            self.client = Client(
                door.endpoint,
                door.key,
                batch_size=500,
                linger_s=0.05,
                max_queue=20_000,
                connections=4,
                on_problem=self._on_problem,
            )
        except ConfigError as error:
            raise Problem(str(error)) from None

    def _on_problem(self, problem: Refused) -> None:
        if problem.status in _REJECTED:
            self.rejected[problem.reason] += 1
        else:
            self.failed[problem.reason] += 1
            if problem.status:
                self.refused = problem

    def check(self) -> None:
        """Raises Problem if the collector refuses the sender, or never answered."""
        if self.refused is not None:
            raise Problem(f"the collector refuses the key ({self.refused.reason}): "
                          f"{self.refused.detail}")  # fmt: skip
        late = time.monotonic() - self._started > _ANSWER_SECONDS
        if late and not self.client.counts.answers:
            raise Problem(
                f"the collector at {self._door.endpoint} does not answer: is `up` running?"
            )

    def send(self, event: bytes) -> None:
        """Queues an event, when there is room."""
        while True:
            try:
                self.client.forward(event)
            except QueueFull:
                self.client.wait_for_room(_LOOK_SECONDS)
                self.check()
            except InvalidEvent as error:
                # Such as an empty line: nothing that a request could hold.
                self.rejected[error.reason] += 1
                return
            else:
                return


def post(
    door: Door,
    events: Iterable[bytes],
    rate: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Produced:
    """Sends all events, or those up to Ctrl-C, and waits for their answers.

    Args:
        events: the bytes of each, sent as they are: a bad one is the collector's to judge.
        rate: events per second; as fast as possible if None.

    Raises:
        Problem: the collector does not answer, or refuses the key.
    """
    sending = _Sending(door)
    read, interrupted = 0, False
    batch = _BATCH if rate is None else max(1, min(_BATCH, int(rate / 20)))
    stream: Iterator[bytes] = iter(events)
    started = time.monotonic()
    try:
        try:
            while part := list(islice(stream, batch)):
                for event in part:
                    sending.send(event)
                    read += 1
                sending.check()
                on_progress(len(part))
                if rate is not None:
                    time.sleep(max(0.0, started + read / rate - time.monotonic()))
        except KeyboardInterrupt:
            interrupted = True
        # A second Ctrl-C stops the waiting.
        with suppress(KeyboardInterrupt):
            while not sending.client.flush(_LOOK_SECONDS):
                sending.check()
        sending.check()
    finally:
        sending.client.close(0)
    accepted = sending.client.counts.accepted
    return Produced(read, accepted, sending.rejected, sending.failed, interrupted)
