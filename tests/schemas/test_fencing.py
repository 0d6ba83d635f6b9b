"""The writer protocol against zombies, crashes, lost, doubled and delayed appends."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from schemas import fencing
from schemas.fencing import Outcome, Position, Stamp, follow, from_headers, to_headers

RAW_END = 40


class Message(NamedTuple):
    """A message with what its writer believed to have been taken before it."""

    stamp: Stamp
    basis: tuple[Stamp, ...] = ()


@dataclass
class Process:
    """A writer that may be slow, wrong about the world, or dead."""

    name: str
    marker: Stamp
    writing: bool = False
    next_raw: int = 0
    believed: list[Stamp] = field(default_factory=list)
    outbox: list[Message] = field(default_factory=list)


class Partition(RuleBasedStateMachine):
    """One partition of the log, any number of processes that want it."""

    follow: Callable[[Position, Stamp], tuple[Position, Outcome]] = staticmethod(follow)
    processes = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Message] = []
        self.names = 0

    def read(self, until: int | None = None) -> tuple[Position, list[Message]]:
        """What a reader makes of the log."""
        position, taken = Position(), []
        for message in self.log[:until]:
            position, outcome = type(self).follow(position, message.stamp)
            if outcome is Outcome.BLOCK:
                taken.append(message)
        return position, taken

    @rule(target=processes)
    def start(self) -> Process:
        """A process is given the partition and sends its marker."""
        self.names += 1
        name = f"w{self.names}"
        marker = Stamp("marker", name, self.read()[0].epoch + 1)
        process = Process(name, marker)
        process.outbox.append(Message(marker))
        return process

    @rule(process=processes, which=st.integers(0, 5), twice=st.booleans())
    def deliver(self, process: Process, which: int, twice: bool) -> None:
        """Something it sent arrives: in any order, perhaps not for the last time."""
        if process.outbox:
            index = which % len(process.outbox)
            self.log.append(process.outbox[index])
            if not twice:
                process.outbox.pop(index)

    @rule(process=processes, which=st.integers(0, 5))
    def lose(self, process: Process, which: int) -> None:
        """Something it sent never arrives."""
        if process.outbox:
            process.outbox.pop(which % len(process.outbox))

    @rule(process=processes)
    def read_up_to_own_marker(self, process: Process) -> None:
        """It restores its state, and writes if its marker was taken."""
        arrived = [i for i, message in enumerate(self.log) if message.stamp == process.marker]
        if process.writing or not arrived:
            return
        position, taken = self.read(arrived[0] + 1)
        if position.writer == process.name:
            process.writing = True
            process.next_raw = position.next_raw
            process.believed = [message.stamp for message in taken]

    @rule(process=processes, events=st.integers(1, 4))
    def write(self, process: Process, events: int) -> None:
        """It judges some events on what it believes, zombie or not."""
        end = min(process.next_raw + events, RAW_END)
        if process.writing and end > process.next_raw:
            stamp = Stamp("block", process.name, process.marker.epoch, process.next_raw, end)
            process.outbox.append(Message(stamp, tuple(process.believed)))
            process.believed.append(stamp)
            process.next_raw = end

    @rule(process=consumes(processes))
    def crash(self, process: Process) -> None:
        """It dies with what it had not sent yet; what is under way is lost too."""
        process.outbox.clear()

    @invariant()
    def every_event_is_judged_once_and_on_all_that_came_before(self) -> None:
        position, taken = self.read()
        covered = [raw for m in taken for raw in range(m.stamp.raw_from, m.stamp.raw_next)]
        assert covered == list(range(position.next_raw))
        for i, message in enumerate(taken):
            assert message.basis == tuple(earlier.stamp for earlier in taken[:i])

    @invariant()
    def whoever_claims_next_can_finish(self) -> None:
        position, _ = self.read()
        marker = Stamp("marker", "last", position.epoch + 1)
        rest = Stamp("block", "last", position.epoch + 1, position.next_raw, RAW_END)
        for stamp in (marker, rest):
            position, outcome = type(self).follow(position, stamp)
            assert outcome.taken
        assert position.next_raw == RAW_END


TestPartition = Partition.TestCase
TestPartition.settings = settings(stateful_step_count=40, deadline=None)


def _any_writer(position: Position, stamp: Stamp) -> tuple[Position, Outcome]:
    if stamp.kind == "block":
        stamp = stamp._replace(writer=position.writer, epoch=position.epoch)
    return follow(position, stamp)


def _any_start(position: Position, stamp: Stamp) -> tuple[Position, Outcome]:
    if stamp.kind == "block" and stamp.raw_next > position.next_raw:
        stamp = stamp._replace(raw_from=position.next_raw)
    return follow(position, stamp)


def _zombie_goes_on_where_its_successor_stopped(machine: Partition) -> None:
    zombie = machine.start()
    machine.deliver(zombie, 0, twice=False)
    machine.read_up_to_own_marker(zombie)
    machine.write(zombie, 2)
    machine.write(zombie, 2)
    heir = machine.start()
    machine.deliver(heir, 0, twice=False)
    machine.read_up_to_own_marker(heir)
    machine.write(heir, 2)
    machine.deliver(heir, 0, twice=False)
    machine.deliver(zombie, 1, twice=False)


def _first_of_two_blocks_is_lost(machine: Partition) -> None:
    writer = machine.start()
    machine.deliver(writer, 0, twice=False)
    machine.read_up_to_own_marker(writer)
    machine.write(writer, 2)
    machine.write(writer, 2)
    machine.lose(writer, 0)
    machine.deliver(writer, 0, twice=False)


@pytest.mark.parametrize(
    ("loosened", "story"),
    [
        (_any_writer, _zombie_goes_on_where_its_successor_stopped),
        (_any_start, _first_of_two_blocks_is_lost),
    ],
)
def test_a_loosened_condition_is_caught(
    loosened: Callable[[Position, Stamp], tuple[Position, Outcome]],
    story: Callable[[Partition], None],
) -> None:
    class Broken(Partition):
        follow = staticmethod(loosened)

    for machine in (Partition(), Broken()):
        story(machine)
        sound = type(machine) is Partition
        with contextlib.nullcontext() if sound else pytest.raises(AssertionError):
            machine.every_event_is_judged_once_and_on_all_that_came_before()


def test_headers_carry_the_stamp() -> None:
    stamp = Stamp("block", "w", 3, 10, 20)
    assert from_headers(to_headers(stamp)) == stamp


@pytest.mark.parametrize("missing", Stamp._fields)
def test_a_message_of_somebody_else_is_refused(missing: str) -> None:
    headers = [pair for pair in to_headers(Stamp("marker", "w", 1)) if pair[0] != missing]
    with pytest.raises(ValueError, match=missing):
        from_headers(headers)


def test_a_block_cannot_go_backwards() -> None:
    position = Position(1, "w", 10)
    assert follow(position, Stamp("block", "w", 1, 10, 9)) == (position, Outcome.OUT_OF_LINE)


def test_a_marker_of_the_same_epoch_comes_too_late() -> None:
    position = Position(4, "first", 10)
    assert follow(position, Stamp("marker", "second", 4))[1] is Outcome.STALE_MARKER
    assert fencing.follow(position, Stamp("marker", "second", 5))[0].writer == "second"
