"""Clients of real servers of every kind: with passwords, over TLS, after a failover."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
import redis
from support.redis_servers import (
    HOST,
    PASSWORD,
    QUOTED,
    Certificates,
    certificates,
    cluster,
    server,
    tls_front,
)

from schemas.redis_client import close_async, connect, connect_async

pytestmark = pytest.mark.services

TIMEOUT_S = 5.0


class Urls(NamedTuple):
    """By which the same servers can be reached, and options for those of TLS."""

    plain: str
    user: str
    tls: str
    sentinel: str
    sentinel_own_password: str
    sentinel_open: str
    sentinel_tls: str
    cluster: str
    cluster_tls: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def options(files: Certificates) -> str:
    return (
        f"ssl_ca_certs={files.authority}&ssl_certfile={files.certificate}&ssl_keyfile={files.key}"
    )


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory, files: Certificates) -> Iterator[Urls]:
    folder, tls = tmp_path_factory.mktemp("redis"), options(files)
    with ExitStack() as opened:
        one = opened.enter_context(server(folder / "one"))
        front = opened.enter_context(tls_front(one.port, files, plain_too=True))

        def sentinel(name: str, port: int, password: str) -> int:
            config = f"sentinel monitor main {HOST} {port} 1\nsentinel auth-pass main {PASSWORD}\n"
            found = server(folder / name, config, sentinel=True, password=password)
            return opened.enter_context(found).port

        same, other = sentinel("same", one.port, PASSWORD), sentinel("other", one.port, "other")
        without = sentinel("without", one.port, "")
        behind = opened.enter_context(tls_front(sentinel("behind", front, PASSWORD), files))
        nodes = opened.enter_context(cluster(folder / "cluster"))
        fronted = opened.enter_context(cluster(folder / "fronted", tls=files))
        login = f":{QUOTED}@"
        yield Urls(
            plain=f"redis://{login}{HOST}:{one.port}/1",
            user=f"redis://me:{QUOTED}@{HOST}:{one.port}/1",
            tls=f"rediss://{login}{HOST}:{front}/1?{tls}",
            # The first sentinel is never there.
            sentinel=f"redis+sentinel://{login}{HOST}:1,{HOST}:{same}/main/1",
            sentinel_own_password=f"redis+sentinel://me:{QUOTED}@{HOST}:{other}/main/1"
            "?sentinel_password=other",
            sentinel_open=f"redis+sentinel://me:{QUOTED}@{HOST}:{without}/main/1",
            sentinel_tls=f"rediss+sentinel://{login}{HOST}:{behind}/main/1?{tls}",
            cluster=f"redis+cluster://me:{QUOTED}@{HOST}:1,{HOST}:{nodes[0].port}",
            cluster_tls=f"rediss+cluster://{login}{HOST}:{fronted[0].front}?{tls}",
        )


@pytest.mark.parametrize("name", Urls._fields)
def test_both_clients_write_and_read(urls: Urls, name: str) -> None:
    url = getattr(urls, name)
    written = {f"viewledger:{name}:{i}": b"%d" % i for i in range(20)}

    async def read() -> dict[str, bytes | None]:
        client = connect_async(url, TIMEOUT_S)
        try:
            return {key: await client.get(key) for key in written}
        finally:
            await close_async(client)

    with connect(url, TIMEOUT_S) as client:
        for key, value in written.items():
            client.set(key, value)
        assert asyncio.run(read()) == written
        assert {key: client.get(key) for key in written} == written


def test_tls_is_for_the_sentinels_and_the_master(urls: Urls) -> None:
    pool = connect(urls.sentinel_tls, TIMEOUT_S).connection_pool
    pools = [pool, *(each.connection_pool for each in pool.sentinel_manager.sentinels)]
    assert all(issubclass(each.connection_class, redis.SSLConnection) for each in pools)


@pytest.mark.parametrize("name", ["plain", "tls", "sentinel", "cluster"])
def test_a_wrong_password_is_refused(urls: Urls, name: str) -> None:
    url = getattr(urls, name).replace(QUOTED, "wrong")
    with pytest.raises((redis.RedisError, redis.RedisClusterException)) as error:
        connect(url, TIMEOUT_S).get("x")
    assert "wrong" not in str(error.value)


def test_tls_verifies_both_sides(urls: Urls, files: Certificates) -> None:
    bare = urls.tls.partition("?")[0]
    for query in ("", f"?ssl_ca_certs={files.authority}"):
        with pytest.raises(redis.ConnectionError):
            connect(bare + query, TIMEOUT_S).ping()
    wrong_name = urls.tls.replace(HOST, "localhost")
    with pytest.raises(redis.ConnectionError, match="localhost"):
        connect(wrong_name, TIMEOUT_S).ping()
    for query in ("ssl_check_hostname=false", "ssl_cert_reqs=none"):
        connect(f"{wrong_name}&{query}", TIMEOUT_S).ping()


@pytest.mark.parametrize("form", ["redis://{}", "redis+sentinel://{}/main", "redis+cluster://{}"])
def test_who_does_not_answer_is_not_waited_for(form: str) -> None:
    with ExitStack() as opened:
        silent = [opened.enter_context(socket.create_server((HOST, 0))) for _ in range(3)]
        hosts = [f"{HOST}:{each.getsockname()[1]}" for each in silent]
        url = form.format(",".join(hosts if "+" in form else hosts[:1]))
        with pytest.raises((redis.RedisError, redis.RedisClusterException)):
            connect(url, 0.1).get("x")

        async def ask() -> None:
            client = connect_async(url, 0.1)
            try:
                await client.get("x")
            finally:
                await close_async(client)

        with pytest.raises((redis.RedisError, redis.RedisClusterException)):
            asyncio.run(ask())
