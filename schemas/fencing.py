"""One writer per partition, fenced by the log: the whole protocol, as pure functions.

`views.scored` holds two kinds of messages. A *marker* says who writes from here on; a *block*
carries what a raw range came to. Whoever reads the partition keeps a `Position` and folds
every message into it with `follow`. All readers see the same messages in the same order, so
all of them take and ignore the same ones: what a zombie appends after it lost the partition,
what a retry appends twice, and what follows a lost append. `docs/exactly-once.md` has the
argument, `tests/schemas/test_fencing.py` a state machine that tries to break it.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Literal, NamedTuple

Headers = list[tuple[str, bytes]]


class Position(NamedTuple):
    """What a reader of one partition knows: who may write, and what comes next."""

    epoch: int = 0
    writer: str = ""
    next_raw: int = 0
    """The first offset of `views.raw` that no taken block covers."""


class Progress(NamedTuple):
    """Where a reader stands, as a sink keeps it beside its results."""

    position: Position = Position()
    next_scored: int = 0
    """The first offset of `views.scored` that was not read."""


class Stamp(NamedTuple):
    """The headers of one message of `views.scored`."""

    kind: Literal["marker", "block"]
    writer: str
    epoch: int
    raw_from: int = 0
    raw_next: int = 0
    holes: int = 0
    """Offsets of the range that hold no event, such as the markers of a transaction."""


class Outcome(Enum):
    """What a reader does with a message."""

    MARKER = "marker"
    BLOCK = "block"
    STALE_MARKER = "stale_marker"
    """Its epoch is not higher than the one that holds."""
    FENCED = "fenced"
    """A block of somebody who does not hold the partition (any more)."""
    OUT_OF_LINE = "out_of_line"
    """A block that does not start at `next_raw`: written twice, or after a lost one."""

    @property
    def taken(self) -> bool:
        """Whether the message counts."""
        return self in (Outcome.MARKER, Outcome.BLOCK)


def follow(position: Position, stamp: Stamp) -> tuple[Position, Outcome]:
    """Folds one message into a reader's position."""
    if stamp.kind == "marker":
        if stamp.epoch <= position.epoch:
            return position, Outcome.STALE_MARKER
        return Position(stamp.epoch, stamp.writer, position.next_raw), Outcome.MARKER
    if (stamp.writer, stamp.epoch) != (position.writer, position.epoch):
        return position, Outcome.FENCED
    if stamp.raw_from != position.next_raw or stamp.raw_next < stamp.raw_from:
        return position, Outcome.OUT_OF_LINE
    return position._replace(next_raw=stamp.raw_next), Outcome.BLOCK


def to_headers(stamp: Stamp) -> Headers:
    """Kafka headers of a message."""
    return [(name, str(value).encode()) for name, value in zip(stamp._fields, stamp, strict=True)]


def from_headers(headers: Iterable[tuple[str, bytes]]) -> Stamp:
    """The stamp of a message.

    Raises:
        ValueError: not a message of `views.scored`; says which header is wrong.
    """
    found = {name: value for name, value in headers if name in Stamp._fields}
    missing = [name for name in Stamp._fields if name not in found]
    if missing:
        raise ValueError(f"message without the header {missing[0]!r}: not written by viewledger")
    kind = found["kind"].decode()
    if kind not in ("marker", "block"):
        raise ValueError(f"message of kind {kind!r}: neither marker nor block")
    numbers = {name: int(found[name]) for name in ("epoch", "raw_from", "raw_next", "holes")}
    return Stamp(kind=kind, writer=found["writer"].decode(), **numbers)  # type: ignore[arg-type]
