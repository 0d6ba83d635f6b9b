"""Both clients of the Python SDK behind one synchronous face."""

import asyncio
import threading
from typing import Any

from viewledger_sdk import AsyncClient, Client

VIEW = {
    "campaign_id": "spring-shoes",
    "promoter_id": "lena",
    "post_id": "7431",
    "platform": "web",
    "viewer_id": "9f2c4e11a0",
    "session_id": "5d07aa93",
    "watch_ms": 9000,
    "duration_ms": 15000,
    "visible_pct": 100,
}


class AsyncFromOutside:
    """An AsyncClient in an event loop of its own, in another thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._client = self._call(self._make(arguments, options))
        except BaseException:
            self._end()
            raise

    async def _make(self, arguments: Any, options: Any) -> AsyncClient:
        return await AsyncClient(*arguments, **options).__aenter__()

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def track(self, *arguments: Any, **fields: Any) -> str:
        async def track() -> str:
            return self._client.track(*arguments, **fields)

        return self._call(track())

    def forward(self, event: bytes) -> None:
        async def forward() -> None:
            self._client.forward(event)

        self._call(forward())

    def flush(self, timeout: float | None = None) -> bool:
        return self._call(self._client.flush(timeout))

    def wait_for_room(self, timeout: float | None = None) -> bool:
        return self._call(self._client.wait_for_room(timeout))

    def close(self, timeout: float | None = 10.0) -> bool:
        if not self._thread.is_alive():
            return self._client.unsettled == 0
        done = self._call(self._client.close(timeout))
        self._end()
        return done

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __enter__(self) -> "AsyncFromOutside":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


CLIENTS = {"sync": Client, "async": AsyncFromOutside}
