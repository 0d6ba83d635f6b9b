import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import redis
from prometheus_client import REGISTRY
from pydantic import SecretStr
from support.redis_servers import (
    HOST,
    QUOTED,
    cluster,
    failover,
    hand_over,
    kill_master,
    replicated,
)

from pipeline.collector import quota as quota_module
from pipeline.collector.keyring import Key
from pipeline.collector.quota import Quota
from pipeline.embedded import redis as embedded_redis
from pipeline.embedded.kept import Server
from schemas.api_key import new_token
from schemas.settings import Settings
from sinks.sealing import new_key

KEYS = SecretStr(new_key())
FEW = Settings(
    collector_keys=KEYS,
    key_events_per_minute=20,
    address_events_per_minute=5,
    redis_timeout_ms=20_000,
)


def key(kind: str = "publishable", events_per_minute: int | None = None) -> Key:
    return Key(
        key_id=new_token("secret").key_id,
        kind="secret" if kind == "secret" else "publishable",
        events_per_minute=events_per_minute,
    )


@asynccontextmanager
async def opened(url: str, settings: Settings = FEW) -> AsyncIterator[Quota]:
    quota = Quota.connect(settings.model_copy(update={"redis": url}))
    try:
        yield quota
    finally:
        await quota.close()


class Running:
    """A Redis of one test, which can be stopped, killed and started again."""

    def __init__(self, server: Server) -> None:
        self.url, self._server = server.url, server
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._server.command, stdout=subprocess.DEVNULL)
        while not self._server.ready():
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def names(self) -> list[str]:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return list(client.scan_iter())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    running = Running(embedded_redis.prepare(tmp_path))
    yield running
    running.process.send_signal(signal.SIGCONT)
    running.kill()


def is_local() -> bool:
    return REGISTRY.get_sample_value("viewledger_quota_local") == 1


async def until_shared() -> None:
    async with asyncio.timeout(30):
        while is_local():  # noqa: ASYNC110 - it is a metric and has no event
            await asyncio.sleep(0.02)


def waits(quota: Quota, *spends: tuple[Key, str | None, int]) -> "asyncio.Future[list[bool]]":
    async def one_by_one() -> list[bool]:
        return [await quota.spend(*spend) is not None for spend in spends]

    return asyncio.ensure_future(one_by_one())


@pytest.mark.services
def test_keys_and_addresses_have_their_quotas(stack: Settings) -> None:
    async def run() -> None:
        async with opened(stack.url("redis")) as quota:
            page, server, wide = key(), key("secret"), key(events_per_minute=1000)
            assert await waits(quota, *[(page, "192.0.2.1", 1)] * 6) == [False] * 5 + [True]
            # Neither another address nor what has none of the key's pays for it.
            assert await waits(quota, (wide, "192.0.2.1", 1), (page, "192.0.2.2", 5)) == [
                True,
                False,
            ]
            assert await waits(quota, (page, None, 10), (page, None, 1)) == [False, True]
            # A server speaks for many clients: its own address counts for nothing.
            assert await waits(quota, *[(server, "192.0.2.1", 10)] * 3) == [False, False, True]
            narrow = key("secret", 3)
            assert await waits(quota, (narrow, None, 3), (narrow, None, 1)) == [False, True]
            assert await waits(quota, (wide, None, 900), (wide, None, 90)) == [False, False]

    asyncio.run(run())


@pytest.mark.services
def test_what_one_collector_counts_the_other_knows(stack: Settings) -> None:
    async def run() -> None:
        async with opened(stack.url("redis")) as one, opened(stack.url("redis")) as other:
            server = key("secret")
            assert await one.spend(server, None, 15) is None
            assert await other.spend(server, None, 15) == pytest.approx(30, abs=2)
            assert await other.spend(server, None, 5) is None

    asyncio.run(run())


@pytest.mark.services
def test_a_client_of_ipv6_is_its_network(stack: Settings) -> None:
    async def run() -> None:
        async with opened(stack.url("redis")) as quota:
            page = key()
            same = ["2001:db8:1:2::1", "2001:0db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"]
            assert await waits(quota, *((page, each, 2) for each in same)) == [False, False, True]
            assert await waits(quota, (page, "2001:db8:1:3::1", 5)) == [False]
            assert await waits(quota, (page, "::ffff:192.0.2.77", 4)) == [False]
            assert await waits(quota, (page, "192.0.2.77", 4)) == [True]

    asyncio.run(run())


@pytest.mark.services
def test_many_at_once_get_what_there_is_and_no_more(stack: Settings) -> None:
    async def run() -> None:
        async with opened(stack.url("redis")) as quota:
            servers = [key("secret") for _ in range(50)]
            found = await asyncio.gather(
                *(quota.spend(server, None, 1) for _ in range(25) for server in servers)
            )
            assert found.count(None) == 50 * 20

    asyncio.run(run())


@pytest.mark.services
def test_who_gives_up_waiting_harms_nobody(stack: Settings) -> None:
    async def run() -> None:
        async with opened(stack.url("redis")) as quota:
            tasks = [asyncio.ensure_future(quota.spend(key(), None, 1)) for _ in range(10)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert found[1::2] == [None] * 5
            assert await quota.spend(key(), None, 1) is None

    asyncio.run(run())


@pytest.mark.services
def test_redis_gets_no_address(own: Running) -> None:
    async def run() -> None:
        async with opened(own.url) as quota:
            for address in ("192.0.2.1", "2001:db8::1"):
                assert await quota.spend(key(), address, 1) is None

    asyncio.run(run())
    names = own.names()
    assert len([name for name in names if name.startswith("viewledger:{quota}:address:")]) == 2
    assert not any(part in "".join(names) for part in ("192.0", "c0000201", "2001", "20010db8"))
    with redis.Redis.from_url(own.url) as client:
        assert all(0 < client.ttl(name) <= 60 for name in names)


@pytest.mark.services
@pytest.mark.parametrize("how", ["killed", "hung"])
def test_without_redis_it_counts_here_and_goes_back(
    own: Running, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_module, "_RETRY_S", 0.1)
    settings = FEW.model_copy(update={"redis_timeout_ms": 2000})

    async def run() -> None:
        async with opened(own.url, settings) as quota:
            server = key("secret")
            assert await waits(quota, (server, None, 20), (server, None, 20)) == [False, True]
            if how == "killed":
                own.kill()
            else:
                own.process.send_signal(signal.SIGSTOP)
            # The same limits, on a new account; those that wait with it are answered, too.
            others = [key("secret") for _ in range(700)]
            found = await asyncio.gather(*(quota.spend(each, None, 20) for each in others))
            assert found == [None] * 700
            assert is_local()
            assert await waits(quota, (server, None, 20), (server, None, 20)) == [False, True]
            page = key()
            assert await waits(quota, *[(page, "192.0.2.1", 3)] * 2) == [False, True]
            if how == "killed":
                own.start()
            else:
                own.process.send_signal(signal.SIGCONT)
            await until_shared()
            newer = key("secret")
            assert await waits(quota, (newer, None, 20), (newer, None, 20)) == [False, True]
            assert "viewledger:{quota}:key:" + newer.key_id in own.names()

    asyncio.run(run())


@pytest.mark.services
def test_a_redis_that_cannot_be_written_counts_as_gone(
    own: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_module, "_RETRY_S", 0.02)
    with redis.Redis.from_url(own.url) as client:
        client.config_set("maxmemory", "1")

        async def run() -> None:
            async with opened(own.url) as quota:
                assert await quota.spend(key(), None, 1) is None
                assert is_local()
                await asyncio.sleep(0.2)
                assert is_local()
                client.config_set("maxmemory", "0")
                await until_shared()

        asyncio.run(run())


@pytest.mark.services
def test_in_a_cluster_a_request_takes_from_all_of_its_quotas_or_from_none(tmp_path: Path) -> None:
    async def run(url: str) -> None:
        async with opened(url) as quota:
            pages = [key() for _ in range(20)]
            for i, page in enumerate(pages):
                address = f"192.0.2.{i}"
                assert await waits(quota, *[(page, address, 5)] * 2) == [False, True]
                # What was refused took nothing of the key.
                assert await waits(quota, (page, None, 15), (page, None, 1)) == [False, True]
            together = (quota.spend(key("secret"), None, 20) for _ in range(50))
            assert await asyncio.gather(*together) == [None] * 50
            assert not is_local()

    with cluster(tmp_path / "cluster") as nodes:
        asyncio.run(run(f"redis+cluster://me:{QUOTED}@{HOST}:{nodes[1].port}"))


@pytest.mark.services
@pytest.mark.parametrize("how", ["killed", "handed over"])
def test_after_a_failover_the_promoted_replica_counts(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_module, "_RETRY_S", 0.1)
    patient = FEW.model_copy(update={"redis_timeout_ms": 20_000})

    async def run(url: str, fail: Callable[[], None]) -> None:
        async with opened(url, patient) as quota:
            server = key("secret")
            assert await quota.spend(server, None, 15) is None
            replicated(servers[0])
            fail()
            assert await quota.spend(server, None, 5) is None
            assert is_local()
            await until_shared()
            # It knows what the master was told.
            assert await waits(quota, (server, None, 15), (server, None, 5)) == [True, False]

    with failover(tmp_path) as servers:
        url = f"redis+sentinel://:{QUOTED}@{HOST}:{servers[2].port}/main"
        master, _, sentinel = servers
        killed, handed_over = partial(kill_master, master, sentinel), partial(hand_over, *servers)
        fail = killed if how == "killed" else handed_over
        asyncio.run(run(url, fail))


def test_without_redis_from_the_start() -> None:
    async def run() -> None:
        async with opened("redis://127.0.0.1:1/0") as quota:
            server = key("secret")
            assert await waits(quota, (server, None, 20), (server, None, 1)) == [False, True]

    asyncio.run(run())
