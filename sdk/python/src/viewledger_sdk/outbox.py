"""What both clients are made of, without threads or tasks: queue, requests, outcomes."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from viewledger_sdk.answer import Answer
from viewledger_sdk.clock import Clock, wall_ms
from viewledger_sdk.delivery import Came, Outcome, Step, deliver
from viewledger_sdk.disk_queue import DiskQueue
from viewledger_sdk.errors import ClientClosed, ConfigError
from viewledger_sdk.keys import parse_key
from viewledger_sdk.protocol import GZIP_FROM_BYTES, MAX_EVENTS, Request, build_request, views_url
from viewledger_sdk.queue import Item, MemoryQueue, Queue
from viewledger_sdk.view import View, as_fields, check_raw, encode

NOT_SENT = "not_sent"
logger = logging.getLogger("viewledger_sdk")


class Problem(NamedTuple):
    """An event that was not accepted, and that the client no longer has."""

    event_id: str | None
    """None for an event that came as bytes."""
    reason: str
    """A label of docs/protocol.md, or `not_sent` for what was left when the client closed."""
    detail: str
    status: int
    """Of the answer; 0 if there was none."""
    event: bytes
    """Its JSON; `sent_at` is that of now."""


OnProblem = Callable[[Problem], None]


@dataclass
class Counts:
    """What became of the events so far."""

    tracked: int = 0
    accepted: int = 0
    not_accepted: Counter[str] = field(default_factory=Counter)
    """By reason; each was told to `on_problem`."""
    attempts: int = 0
    """Requests."""
    answers: int = 0
    """Requests that were answered, with whatever status."""


class Options(NamedTuple):
    """What a client can be told; docs/sdk.md says it for people."""

    batch_size: int
    linger_s: float
    max_queue: int
    queue_path: str | os.PathLike[str] | None
    on_problem: OnProblem | None
    origin: str | None
    connections: int
    gzip_from: int = GZIP_FROM_BYTES


class Outbox:
    """Not thread-safe: the client sees to that."""

    def __init__(self, endpoint: str, key: str, options: Options) -> None:
        """Raises ConfigError, QueueLocked."""
        self.url, self.key, self.options = views_url(endpoint), parse_key(key), options
        if not 1 <= options.batch_size <= MAX_EVENTS:
            raise ConfigError(f"batch_size is {options.batch_size}: it must be 1 to {MAX_EVENTS}")
        if options.max_queue < 1 or options.connections < 1 or options.linger_s < 0:
            raise ConfigError("max_queue and connections must be 1 or more, linger_s 0 or more")
        if self.key.kind == "publishable" and not options.origin:
            raise ConfigError(
                "a publishable key is bound to origins: pass origin='https://…', or use a secret "
                "key (vlsk_…) on a server"
            )
        self.queue: Queue = (
            MemoryQueue(options.max_queue)
            if options.queue_path is None
            else DiskQueue(Path(options.queue_path), options.max_queue)
        )
        self.counts = Counts()
        self.closed = False
        self.hurry_up_to = -1
        """Events up to this number do not linger."""
        self._clock = Clock()
        self._pid = os.getpid()
        self._since = time.monotonic()

    def add(self, view: View | Mapping[str, Any] | None, more: Mapping[str, Any]) -> str:
        """Queues an event and returns its id. Raises InvalidEvent, QueueFull, ClientClosed."""
        event = as_fields(view) if isinstance(view, View) else (view or {})
        event_id, head = encode({**event, **more} if more else event, self._clock.now_ms())
        self._put(event_id, head)
        return event_id

    def add_raw(self, event: bytes) -> None:
        """Queues an event that somebody else made. Raises as `add`."""
        check_raw(event)
        self._put(None, event)

    def _put(self, event_id: str | None, data: bytes) -> None:
        if self.closed:
            raise ClientClosed("the client is closed: the event was not queued")
        if self.forked:
            raise ClientClosed("the client was made before a fork: make one in each process")
        if not self.queue.waiting:
            self._since = time.monotonic()
        self.queue.put(event_id, data)
        self.counts.tracked += 1

    @property
    def forked(self) -> bool:
        """Whether this is the copy in a child: all that is in it is for its parent to send."""
        return os.getpid() != self._pid

    def due_in(self) -> float | None:
        """Seconds until a batch should be sent; None if there is nothing to send."""
        waiting = self.queue.waiting
        if not waiting:
            return None
        if waiting >= self.options.batch_size or self.closed or self.hurry_up_to >= 0:
            return 0.0
        return max(0.0, self._since + self.options.linger_s - time.monotonic())

    def take(self) -> list[Item]:
        """The next batch."""
        self._since = time.monotonic()
        return self.queue.take(self.options.batch_size)

    def hurry(self) -> int:
        """Lets nothing linger that is there now; returns the number of the last event."""
        self.hurry_up_to = self.queue.last
        return self.queue.last

    def steps(
        self, batch: list[Item], settled: Callable[[Outcome], None]
    ) -> Generator[Step, Came, None]:
        """How to deliver a batch; `settled` must end in `settle`."""
        return deliver(batch, self._request, settled)

    def _request(self, items: Sequence[Item]) -> Request:
        sent_at = self._clock.now_ms()
        lines = [item.line(sent_at) for item in items]
        options = self.options
        return build_request(
            self.url, self.key, lines, wall_ms(), options.origin, options.gzip_from
        )

    def count(self, came: Came) -> None:
        """Counts an attempt."""
        self.counts.attempts += 1
        self.counts.answers += isinstance(came, Answer)

    def settle(self, outcome: Outcome) -> None:
        """Counts events and forgets them."""
        if outcome.reason is None:
            self.counts.accepted += len(outcome.items)
        else:
            self.counts.not_accepted[outcome.reason] += len(outcome.items)
        self.queue.settle(list(outcome.items))
        if self.hurry_up_to >= 0 and self.queue.settled_up_to(self.hurry_up_to):
            self.hurry_up_to = -1

    def report(self, outcome: Outcome) -> None:
        """Tells the application about events that were not accepted."""
        if outcome.reason is None:
            return
        tell = self.options.on_problem
        if tell is None:
            logger.warning(
                "%d events were not accepted: %s (%s)",
                len(outcome.items), outcome.reason, outcome.detail,
            )  # fmt: skip
            return
        now = self._clock.now_ms()
        for item in outcome.items:
            try:
                tell(
                    Problem(
                        item.event_id,
                        outcome.reason,
                        outcome.detail,
                        outcome.status,
                        item.line(now),
                    )
                )
            except Exception:
                logger.exception("on_problem failed for event %s", item.event_id)

    def close(self) -> list[Item]:
        """Gives up the queue; returns the events that are lost by that."""
        if self.forked:
            return []
        left = self.queue.close()
        if left:
            self.counts.not_accepted[NOT_SENT] += len(left)
        return left

    def report_left(self, left: list[Item]) -> None:
        """Tells the application about the events that `close` returned."""
        if left:
            self.report(Outcome(left, 0, NOT_SENT, "the client was closed before they were sent"))

    def copy_counts(self) -> Counts:
        """The counts of this moment."""
        return replace(self.counts, not_accepted=Counter(self.counts.not_accepted))
