"""What happens when Redis is not there, or does not answer."""

import asyncio
import socket

import numpy as np
import pytest

from models import velocity
from models.counters import Asked
from models.velocity import Velocity
from schemas.metrics import VELOCITY_DOWN
from schemas.settings import Settings

ASKED = Asked(np.zeros(1, np.uint8), np.full(1, 7 << 48 | 1, np.uint64))
ONE = np.array([[1, 0]], np.uint32)


def down() -> float:
    return VELOCITY_DOWN._value.get()


def test_a_silent_server_costs_a_timeout_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(velocity, "_RETRY_S", 3600)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, says nothing
            host, port = server.getsockname()
            found = Velocity(f"redis://{host}:{port}/0", timeout_ms=20)
            for _ in range(velocity._MOST_FAILURES):
                assert await found.add(ASKED, ONE) is None
            assert down() == 1
            monkeypatch.setattr(found, "_script", None)  # asked again, it would raise
            assert await found.add(ASKED, ONE) is None
            await found.close()

    asyncio.run(run())


@pytest.mark.services
def test_comes_back_by_itself(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(velocity, "_RETRY_S", 0.05)

    async def run() -> None:
        found = Velocity(stack.url("redis"), timeout_ms=2_000)
        working = found._script
        dead = Velocity("redis://127.0.0.1:1/0", timeout_ms=100)
        monkeypatch.setattr(found, "_script", dead._script)
        for _ in range(velocity._MOST_FAILURES + 1):
            assert await found.add(ASKED, ONE) is None
        assert down() == 1
        monkeypatch.setattr(found, "_script", working)
        await asyncio.sleep(0.1)
        assert await found.add(ASKED, ONE) is not None
        assert down() == 0
        await found.close()

    asyncio.run(run())


@pytest.mark.services
def test_counters_expire(stack: Settings) -> None:
    async def run() -> None:
        found = Velocity(stack.url("redis"), timeout_ms=2_000)
        await found.add(ASKED, ONE)
        names = found._redis.keys("viewledger:velocity:*:7")
        assert names == [b"viewledger:velocity:address_1h:7"]
        assert 0 < found._redis.pttl(names[0]) <= 2 * 3_600_000
        await found.close()

    asyncio.run(run())
