"""Clients for a Redis URL, which give up in time: to try again is for who has a breaker."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from schemas.redis_url import RedisUrl

if TYPE_CHECKING:
    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster


def connect(url: str, timeout_s: float) -> "Redis | RedisCluster":
    """A client that repeats nothing; a Cluster is reached at once, the others on first use.

    Args:
        url: see `RedisUrl`.
        timeout_s: for every answer; asking who the master is, or how a Cluster is cut, may take
            as long again.

    Raises:
        ValueError: see `RedisUrl.parse`.
        RedisClusterException: no node of a Cluster can be reached. It is no RedisError.
    """
    from redis import Redis, RedisCluster, Sentinel
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode
    from redis.retry import Retry

    found = RedisUrl.parse(url)
    once = Retry(NoBackoff(), 0)
    options = {**found.options, **_limits(timeout_s)}
    if found.kind == "sentinel":
        master: Redis = _master(Sentinel, found, timeout_s, once)
        return master
    if found.kind == "cluster":
        first = {**found.options, **_share(found, timeout_s), "retry": once}
        nodes = [
            ClusterNode(  # type: ignore[no-untyped-call]
                host, port, redis_connection=Redis(host, port, **first)
            )
            for host, port in found.servers
        ]
        # The names in the URL outlive the addresses that the nodes have today.
        return RedisCluster(startup_nodes=nodes, retry=once, dynamic_startup_nodes=False, **options)
    ((host, port),) = found.servers
    return Redis(host, port, retry=once, **options)


def connect_async(url: str, timeout_s: float) -> "AsyncRedis | AsyncRedisCluster":
    """The same for asyncio; a Cluster is reached on first use, too.

    Raises:
        ValueError: see `RedisUrl.parse`.
    """
    from redis.asyncio import Redis, RedisCluster, Sentinel
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    found = RedisUrl.parse(url)
    once = Retry(NoBackoff(), 0)
    options = {**found.options, **_limits(timeout_s)}
    if found.kind == "sentinel":
        master: Redis = _master(Sentinel, found, timeout_s, once)
        return master
    if found.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in found.servers]
        # The names in the URL outlive the addresses that the nodes have today.
        return RedisCluster(startup_nodes=nodes, retry=once, dynamic_startup_nodes=False, **options)
    ((host, port),) = found.servers
    return Redis(host=host, port=port, retry=once, **options)


async def close_async(client: "AsyncRedis | AsyncRedisCluster") -> None:
    """Closes its connections; used again, it asks anew who is master, or how a Cluster is cut."""
    from redis import RedisError
    from redis.asyncio.sentinel import SentinelConnectionPool

    pool = getattr(client, "connection_pool", None)
    with suppress(RedisError):  # a server that hangs does not take leave
        await client.aclose()
    if isinstance(pool, SentinelConnectionPool):
        with suppress(RedisError):
            await pool.sentinel_manager.aclose()


def _master(sentinel: Any, found: RedisUrl, timeout_s: float, once: Any) -> Any:
    """A client for the master, by the Sentinel of redis-py or that of its asyncio."""
    sentinels = {**found.sentinel_options, **_share(found, timeout_s), "retry": once}
    options = {**found.options, **_limits(timeout_s)}
    manager = sentinel(found.servers, sentinel_kwargs=sentinels, retry=once, **options)
    return manager.master_for(found.master)


def _share(found: RedisUrl, timeout_s: float) -> dict[str, Any]:
    """Limits with which all servers that are asked in turn take the timeout together."""
    return _limits(timeout_s / len(found.servers))


def _limits(timeout_s: float) -> dict[str, Any]:
    from redis.maint_notifications import MaintNotificationsConfig

    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        # They would lengthen the timeouts while a server is maintained.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
