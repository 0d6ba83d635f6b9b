"""The asynchronous client: tasks around an `Outbox`."""

import asyncio
import atexit
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import httpx

from viewledger_sdk.answer import Answer
from viewledger_sdk.delivery import Came, NoAnswer, Outcome, Pause, Step
from viewledger_sdk.outbox import Counts, OnProblem, Options, Outbox, logger
from viewledger_sdk.protocol import Request
from viewledger_sdk.queue import Item
from viewledger_sdk.view import View


class AsyncClient:
    """`viewledger_sdk.Client` for asyncio: the same options, used from one event loop.

    It starts to send when it is entered (`async with`) or an event is tracked in a running loop.
    Nothing is sent after the loop has ended: leave the context, or await `close`. What is left at
    the end of the process is told to `on_problem` as `not_sent`.
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
        self._http = httpx.AsyncClient(timeout=timeout_s)
        self._waiters: set[asyncio.Future[None]] = set()
        self._resume_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        atexit.register(self._report_left)

    def track(self, view: View | Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Queues a view and returns its `event_id`, without waiting. As `Client.track`."""
        self._start()
        event_id = self._outbox.add(view, more)
        self._wake()
        return event_id

    def forward(self, event: bytes) -> None:
        """Queues an event that somebody else made. As `Client.forward`."""
        self._start()
        self._outbox.add_raw(event)
        self._wake()

    async def wait_for_room(self, timeout: float | None = None) -> bool:
        """Waits until `track` has room; False if the time is over."""
        queue, most = self._outbox.queue, self._outbox.options.max_queue
        return await self._wait_for(lambda: queue.unsettled < most, timeout)

    async def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything tracked before is settled; False if the time is over."""
        if self._outbox.closed:
            return not self._outbox.queue.unsettled
        last = self._outbox.hurry()
        self._start()
        self._notify()
        return await self._wait_for(lambda: self._outbox.queue.settled_up_to(last), timeout)

    async def close(self, timeout: float | None = 10.0) -> bool:
        """Sends what is left, and stops. As `Client.close`."""
        if self._outbox.forked:
            return False
        if self._outbox.closed:
            return not self._outbox.queue.unsettled
        self._start()
        self._outbox.closed = True
        self._notify()
        done = False
        try:
            done = await self._wait_for(lambda: not self._outbox.queue.unsettled, timeout)
        finally:
            for task in self._tasks:
                task.cancel()
            self._report_left()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._http.aclose()
            atexit.unregister(self._report_left)
        return done

    def _report_left(self) -> None:
        """At the end of the process nothing can be sent any more."""
        self._outbox.report_left(self._outbox.close())

    @property
    def counts(self) -> Counts:
        """What became of the events so far."""
        return self._outbox.copy_counts()

    @property
    def unsettled(self) -> int:
        """Events that are neither accepted nor reported yet."""
        return self._outbox.queue.unsettled

    async def __aenter__(self) -> "AsyncClient":
        self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _start(self) -> None:
        """Raises RuntimeError where no event loop runs."""
        if not self._tasks and not self._outbox.closed:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._work(), name=f"viewledger-{i}")
                for i in range(self._outbox.options.connections)
            ]

    def _wake(self) -> None:
        if self._outbox.queue.waiting in (1, self._outbox.options.batch_size):
            self._notify()

    async def _wait_for(self, true: Callable[[], bool], timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not true():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            await self._change(left)
        return True

    async def _change(self, timeout: float | None) -> None:
        """Waits until something changed, or the time is over."""
        change = asyncio.get_running_loop().create_future()
        self._waiters.add(change)
        await asyncio.wait([change], timeout=timeout)
        self._waiters.discard(change)

    def _notify(self) -> None:
        for change in self._waiters:
            if not change.done():
                change.set_result(None)
        self._waiters.clear()

    async def _work(self) -> None:
        try:
            while True:
                due_in = self._outbox.due_in()
                if due_in == 0.0:
                    await self._deliver(self._outbox.take())
                else:
                    await self._change(due_in)
        except Exception:
            logger.exception("a sending task of viewledger_sdk ended")

    async def _deliver(self, batch: list[Item]) -> None:
        steps = self._outbox.steps(batch, self._settled)
        came: Came = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration:
                return
            came = await self._take_step(step)

    async def _take_step(self, step: Step) -> Came:
        if not isinstance(step, Pause):
            await asyncio.sleep(max(0.0, self._resume_at - time.monotonic()))
            return await self._post(step())
        logger.info("sending again in %.1f s: %s", step.seconds, step.why)
        if step.everybody:
            self._resume_at = max(self._resume_at, time.monotonic() + step.seconds)
        await asyncio.sleep(step.seconds)
        return None

    async def _post(self, request: Request) -> Came:
        came: Came
        try:
            got = await self._http.post(request.url, content=request.body, headers=request.headers)
            came = Answer(got.status_code, got.headers, got.content)
        except Exception as error:
            # Whatever it was, the batch is sent again.
            came = NoAnswer(f"{type(error).__name__}: {error}")
        self._outbox.count(came)
        return came

    def _settled(self, outcome: Outcome) -> None:
        self._outbox.report(outcome)
        self._outbox.settle(outcome)
        self._notify()
