"""Lag, metrics, health and liveness of a worker.

A worker without progress while there is work says so and exits, to be restarted.
"""

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from prometheus_client import make_wsgi_app

from pipeline.feeds import Feeds
from schemas.metrics import LAG_EVENTS, LAG_SECONDS, PROGRESS_AGE
from schemas.settings import Settings

log = structlog.get_logger()

EXIT_STALLED = 70
_PERIOD_S = 1.0


class Watch:
    """Looks at the feeds every second, from the event loop, and at itself from a thread."""

    def __init__(self, app: Any, topic: str, feeds: Feeds, settings: Settings) -> None:
        self._app = app
        self._topic = topic
        self._feeds = feeds
        self._stall_s = settings.stall_seconds
        self._beat = self._progress = time.monotonic()
        self._done: dict[int, tuple[int, int]] = {}
        self._behind = False

    @property
    def age(self) -> float:
        """Seconds since progress while there was work, or since the event loop last ran."""
        now = time.monotonic()
        return max(now - self._beat, now - self._progress if self._behind else 0.0)

    async def run(self) -> None:
        """Measures the lag for ever and publishes positions to the consumer group."""
        while True:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(10):
                    await self._measure()
            self._beat = time.monotonic()
            PROGRESS_AGE.set(self.age)
            await asyncio.sleep(_PERIOD_S)

    async def _measure(self) -> None:
        feeds = {TP(self._topic, feed.partition): feed for feed in self._feeds}
        ends = await self._app.consumer.highwaters(*feeds) if feeds else {}
        # A long log takes longer to restore than a worker may be silent: that is progress, too.
        done = {feed.partition: (feed.done, feed.restored) for feed in feeds.values()}
        lags = {tp: max(0, ends.get(tp, 0) - feed.done) for tp, feed in feeds.items()}
        for partition in self._done.keys() - done.keys():
            LAG_EVENTS.remove(str(partition))  # somebody else's now
        for tp, lag in lags.items():
            LAG_EVENTS.labels(str(tp.partition)).set(lag)
        late = [feed.done_at_ms for tp, feed in feeds.items() if lags[tp] and feed.done_at_ms]
        LAG_SECONDS.set(max(0.0, time.time() - min(late) / 1000) if late else 0.0)
        if done != self._done or not any(lags.values()):
            self._progress = time.monotonic()
        self._behind = any(lags.values())
        self._done = done
        await self._app.consumer.publish({tp: feed.done for tp, feed in feeds.items() if feed.done})

    def guard(self) -> None:
        """Ends the process when it stalls. Runs in a thread: a stuck event loop cannot."""
        while True:
            time.sleep(_PERIOD_S)
            if self.age > self._stall_s:
                log.error("stalled", seconds_without_progress=round(self.age), done=self._done)
                os._exit(EXIT_STALLED)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests for metrics are no news."""


def serve(watch: Watch, host: str, port: int) -> int:
    """Serves `/metrics` and `/health` from a thread; returns the port (0 picks a free one)."""
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            return metrics(environ, start_response)  # type: ignore[no-any-return]
        fine = watch.age < watch._stall_s / 2
        body = {"ok": fine, "seconds_without_progress": round(watch.age, 1)}
        status = "200 OK" if fine else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    server = make_server(host, port, answer, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)
