"""The synchronous client: threads around an `Outbox`."""

import atexit
import os
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from viewledger_sdk.answer import Answer
from viewledger_sdk.delivery import Came, NoAnswer, Outcome, Pause, Step
from viewledger_sdk.outbox import Counts, OnProblem, Options, Outbox, logger
from viewledger_sdk.protocol import Request
from viewledger_sdk.queue import Item
from viewledger_sdk.view import View

_STOP_S = 1.0
"""How long `close` waits for threads whose requests it has cut."""


class _StoppedError(Exception):
    """The client gave up waiting."""


class Client:
    """Sends views from threads of its own; every method can be called from any thread.

    Args:
        endpoint: of the collector, such as `https://collect.example`.
        key: the token of an API key, `vlsk_…` on a server.
        batch_size: events per request, at most 500.
        linger_s: how long an event waits for others.
        max_queue: events that are not settled yet, beyond which `track` raises QueueFull.
        queue_path: a file that keeps the queue over crashes and restarts; one process at a time.
        on_problem: told of each event that was not accepted, from a thread of the client.
        origin: the origin that is sent with a publishable key (`vlpk_…`).
        connections: requests under way at once.
        timeout_s: for one request.

    Raises:
        ConfigError: an argument is wrong.
        QueueLocked: another client has this `queue_path`.
    """

    def __init__(
        self,
        endpoint: str,
        key: str,
        *,
        batch_size: int = 100,
        linger_s: float = 0.5,
        max_queue: int = 50_000,
        queue_path: str | os.PathLike[str] | None = None,
        on_problem: OnProblem | None = None,
        origin: str | None = None,
        connections: int = 2,
        timeout_s: float = 30.0,
    ) -> None:
        self._outbox = Outbox(
            endpoint,
            key,
            Options(batch_size, linger_s, max_queue, queue_path, on_problem, origin, connections),
        )
        self._http = httpx.Client(timeout=timeout_s)
        self._changed = threading.Condition()
        self._stopped = False
        self._resume_at = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"viewledger-{i}", daemon=True)
            for i in range(connections)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def track(self, view: View | Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Queues a view and returns its `event_id`, without waiting.

        Args:
            view: a View, or its fields by name.
            more: fields by name, instead of `view` or beside it.

        Raises:
            InvalidEvent: no collector would accept it.
            QueueFull: there is no room for it.
            ClientClosed: the client was closed.
        """
        with self._changed:
            event_id = self._outbox.add(view, more)
            self._wake()
        return event_id

    def forward(self, event: bytes) -> None:
        """Queues an event that somebody else made: sent as it is, with the `sent_at` it has.

        Raises as `track`.
        """
        with self._changed:
            self._outbox.add_raw(event)
            self._wake()

    def wait_for_room(self, timeout: float | None = None) -> bool:
        """Waits until `track` has room; False if the time is over."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._outbox.queue.unsettled < self._outbox.options.max_queue, timeout
            )

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything tracked before is settled; False if the time is over."""
        with self._changed:
            if self._outbox.closed:
                return not self._outbox.queue.unsettled
            last = self._outbox.hurry()
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._stopped or self._outbox.queue.settled_up_to(last), timeout
            )
            return not self._stopped and self._outbox.queue.settled_up_to(last)

    def close(self, timeout: float | None = 10.0) -> bool:
        """Sends what is left, and stops. Also called when the process ends normally.

        What is not settled when the time is over is told to `on_problem` as `not_sent`; with
        `queue_path` it stays in the file instead, for the next client.

        Returns:
            Whether everything was settled.
        """
        if self._outbox.forked:
            return False
        with self._changed:
            if self._outbox.closed:
                return not self._outbox.queue.unsettled
            self._outbox.closed = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._outbox.queue.unsettled, timeout)
            self._stopped = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        self._http.close()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            left = self._outbox.close()
        self._outbox.report_left(left)
        return done

    @property
    def counts(self) -> Counts:
        """What became of the events so far."""
        with self._changed:
            return self._outbox.copy_counts()

    @property
    def unsettled(self) -> int:
        """Events that are neither accepted nor reported yet."""
        with self._changed:
            return self._outbox.queue.unsettled

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _wake(self) -> None:
        """Wakes a thread if the first event of a batch, or the last, came."""
        if self._outbox.queue.waiting in (1, self._outbox.options.batch_size):
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while batch := self._next_batch():
                self._deliver(batch)
        except _StoppedError:
            pass
        except Exception:
            logger.exception("a sending thread of viewledger_sdk ended")

    def _next_batch(self) -> list[Item]:
        with self._changed:
            while not self._stopped:
                due_in = self._outbox.due_in()
                if due_in == 0.0:
                    return self._outbox.take()
                self._changed.wait(due_in)
        return []

    def _deliver(self, batch: list[Item]) -> None:
        steps = self._outbox.steps(batch, self._settled)
        came: Came = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration:
                return
            came = self._take_step(step)

    def _take_step(self, step: Step) -> Came:
        if not isinstance(step, Pause):
            self._pause_until(self._resume_at)
            return self._post(step())
        logger.info("sending again in %.1f s: %s", step.seconds, step.why)
        until = time.monotonic() + step.seconds
        if step.everybody:
            self._resume_at = max(self._resume_at, until)
        self._pause_until(until)
        return None

    def _pause_until(self, until: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped, timeout=max(0.0, until - time.monotonic())
            )
            if self._stopped:
                raise _StoppedError

    def _post(self, request: Request) -> Came:
        came: Came
        try:
            got = self._http.post(request.url, content=request.body, headers=request.headers)
            came = Answer(got.status_code, got.headers, got.content)
        except Exception as error:
            # Whatever it was, the batch is sent again.
            came = NoAnswer(f"{type(error).__name__}: {error}")
        with self._changed:
            self._outbox.count(came)
        return came

    def _settled(self, outcome: Outcome) -> None:
        if self._stopped:
            raise _StoppedError
        # Told before it is forgotten: a crash between the two tells it twice, never not at all.
        self._outbox.report(outcome)
        with self._changed:
            if self._stopped:
                raise _StoppedError
            self._outbox.settle(outcome)
            self._changed.notify_all()
