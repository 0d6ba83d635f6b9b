"""Events that are not settled yet, in memory."""

from collections import deque
from typing import NamedTuple, Protocol

from viewledger_sdk.errors import QueueFull
from viewledger_sdk.protocol import MAX_BODY_BYTES, fit, stamp
from viewledger_sdk.view import STAMP_BYTES


class Item(NamedTuple):
    """A queued event."""

    number: int
    """In the order of tracking."""
    event_id: str | None
    """None for an event that came as bytes."""
    data: bytes
    """All of it, or all up to `sent_at`, which `event_id` being there tells."""

    def line(self, sent_at: int) -> bytes:
        """The event as it is sent in one attempt."""
        return self.data if self.event_id is None else stamp(self.data, sent_at)


class Queue(Protocol):
    """What a client needs of a queue. An event stays in it until it is settled.

    None of it waits for a network; the client calls it from one thread at a time.
    """

    @property
    def last(self) -> int:
        """The number of the newest event; -1 if there was none."""

    @property
    def waiting(self) -> int:
        """Events that are not in a batch yet."""

    @property
    def unsettled(self) -> int:
        """Those, and those that are under way."""

    def put(self, event_id: str | None, data: bytes) -> None:
        """Adds an event. Raises QueueFull."""

    def take(self, most: int) -> list[Item]:
        """The next batch, in order: at most `most` events and 1 MiB."""

    def settle(self, items: list[Item]) -> None:
        """Forgets events: the collector has them, or will never take them."""

    def settled_up_to(self, number: int) -> bool:
        """Whether all events up to `number` are settled."""

    def close(self) -> list[Item]:
        """Gives the queue up; returns the events that are lost by that, which none may be."""


class MemoryQueue:
    """A bounded queue that ends with the process."""

    def __init__(self, max_events: int) -> None:
        self._max = max_events
        self.last = -1
        self._waiting: deque[Item] = deque()
        self._unsettled: dict[int, Item] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def unsettled(self) -> int:
        return len(self._unsettled)

    def put(self, event_id: str | None, data: bytes) -> None:
        if len(self._unsettled) >= self._max:
            raise full(self._max)
        item = Item(self.last + 1, event_id, data)
        self.last = item.number
        self._waiting.append(item)
        self._unsettled[item.number] = item

    def take(self, most: int) -> list[Item]:
        return [self._waiting.popleft() for _ in range(batch_length(self._waiting, most))]

    def settle(self, items: list[Item]) -> None:
        for item in items:
            self._unsettled.pop(item.number, None)

    def settled_up_to(self, number: int) -> bool:
        return next(iter(self._unsettled), number + 1) > number

    def close(self) -> list[Item]:
        left = list(self._unsettled.values())
        self._unsettled.clear()
        self._waiting.clear()
        return left


def batch_length(items: "deque[Item]", most: int) -> int:
    """How many of the first events go into one request."""
    return fit((len(item.data) + STAMP_BYTES for item in items), most, MAX_BODY_BYTES)


def full(max_events: int) -> QueueFull:
    """The error of a queue that has no room."""
    return QueueFull(
        f"{max_events:,} events wait to be sent already: the collector does not answer, or not "
        "fast enough; this event was not queued"
    )
