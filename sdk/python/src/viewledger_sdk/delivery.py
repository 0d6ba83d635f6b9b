"""One batch until each of its events is settled, as steps that a client takes.

A generator, so that the synchronous and the asynchronous client share it: it yields what to do,
is sent what came of it, and returns when the batch is done.
"""

import random
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import NamedTuple

from viewledger_sdk.answer import Answer, Delivered, GiveUp, Rejection, Retry, decide
from viewledger_sdk.clock import wall_ms
from viewledger_sdk.protocol import Request, backoff_bound_s
from viewledger_sdk.queue import Item


class Pause(NamedTuple):
    """Wait before the next step."""

    seconds: float
    everybody: bool
    """The collector asked for it, so it holds for all batches of this client."""
    why: str


class NoAnswer(NamedTuple):
    """The request failed on the way."""

    why: str


class Outcome(NamedTuple):
    """What became of some events of the batch."""

    items: Sequence[Item]
    status: int
    reason: str | None
    """None: accepted. Otherwise the label of why not."""
    detail: str = ""


Step = Callable[[], Request] | Pause
"""A request is made when it is about to go: it says when it was sent, and is signed with that."""
Came = Answer | NoAnswer | None


def deliver(
    batch: list[Item],
    request_of: Callable[[Sequence[Item]], Request],
    settled: Callable[[Outcome], None],
) -> Generator[Step, Came, None]:
    """Sends a batch, again and again if need be, in halves if it is too large.

    Args:
        request_of: makes the request of one attempt.
        settled: called with all events of the batch, each of them once.
    """
    parts = [batch]
    while parts:
        part = parts.pop()
        halves = yield from _deliver_part(part, request_of, settled)
        parts.extend(reversed(halves))


def _deliver_part(
    part: list[Item],
    request_of: Callable[[Sequence[Item]], Request],
    settled: Callable[[Outcome], None],
) -> Generator[Step, Came, list[list[Item]]]:
    attempt = 0
    while True:
        attempt += 1
        came = yield partial(request_of, part)
        answer = came if isinstance(came, Answer) else None
        failure = came.why if isinstance(came, NoAnswer) else "no answer"
        decision = decide(answer, len(part), wall_ms(), failure)
        status = answer.status if answer is not None else 0
        if isinstance(decision, Delivered):
            _settle(part, decision.rejected, settled, Outcome([], status, None))
            return []
        if isinstance(decision, GiveUp):
            rest = Outcome([], status, decision.reason, decision.detail)
            _settle(part, decision.rejected, settled, rest)
            return []
        if isinstance(decision, Retry):
            jitter = random.uniform(0, backoff_bound_s(attempt))
            if decision.after_s is None:
                yield Pause(jitter, False, decision.why)
            else:
                # All clients were told the same time: they should not come back at once.
                yield Pause(decision.after_s + min(jitter, 1.0), True, decision.why)
            continue
        middle = len(part) // 2
        return [part[:middle], part[middle:]]


def _settle(
    part: list[Item],
    rejected: list[Rejection],
    settled: Callable[[Outcome], None],
    rest: Outcome,
) -> None:
    """Settles the rejected events by themselves, then all others as `rest` says."""
    for one in rejected:
        settled(Outcome([part[one.row]], rest.status, one.reason, one.detail))
    named = {one.row for one in rejected}
    others = [item for row, item in enumerate(part) if row not in named]
    if others:
        settled(rest._replace(items=others))
