"""Many calls of one Lua script in one round trip, whatever kind of Redis it is."""

import time
from collections.abc import Sequence
from typing import Any

import redis
from redis import ConnectionPool, Redis, RedisCluster, RedisClusterException

from schemas.redis_client import connect
from schemas.redis_url import RedisUrl

_ANSWERS_IN_TIME = 3
"""All answers together may take so many times what one may."""

Call = tuple[Sequence[str | bytes], Sequence[bytes]]
"""KEYS and ARGV. In a Cluster the keys of one call have to share a hash tag."""


class RedisScript:
    """A Lua script on the Redis of a URL; may be used by several threads."""

    def __init__(self, url: str, timeout_s: float, source: str) -> None:
        """Connects on first use.

        Args:
            url: see `RedisUrl`.
            timeout_s: see `connect`.
            source: what runs; goes along with every call, so no server has to know it before.

        Raises:
            ValueError: see `RedisUrl.parse`.
        """
        RedisUrl.parse(url)
        self._url, self._timeout_s, self._source = url, timeout_s, source
        self._client: Redis | RedisCluster | None = None
        self._map_is_old = False

    def run(self, calls: Sequence[Call]) -> list[bytes]:
        """Sends all calls to where their keys are, and waits for all replies.

        Nothing is repeated: after an error any of the calls may have run. The next use asks
        anew who is the master, or how the Cluster is cut.

        Raises:
            RedisError: no connection, no answer in time, or what a server said to a call.
        """
        try:
            client = self._connected()
            places: dict[ConnectionPool, list[int]] = {}
            for place, (keys, _) in enumerate(calls):
                places.setdefault(_pool(client, keys[0]), []).append(place)
            commands = [("EVAL", self._source, len(k), *k, *a) for k, a in calls]
            return _exchange(places, commands, _ANSWERS_IN_TIME * self._timeout_s)
        except RedisClusterException as error:  # is no RedisError
            self._map_is_old = True
            raise redis.ConnectionError(str(error)) from error
        except BaseException:
            self._map_is_old = True
            raise

    def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            self._client.close()

    def _connected(self) -> Redis | RedisCluster:
        if self._client is None:
            self._client = connect(self._url, self._timeout_s)
        elif self._map_is_old and isinstance(self._client, RedisCluster):
            self._map_is_old = False  # first, so that no other thread does it, too
            self._client.nodes_manager.initialize()
        return self._client


def _pool(client: Redis | RedisCluster, key: str | bytes) -> ConnectionPool:
    if isinstance(client, Redis):
        return client.connection_pool
    node: Any = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
    pool: ConnectionPool = node.redis_connection.connection_pool
    return pool


def _exchange(
    places: dict[ConnectionPool, list[int]],
    commands: Sequence[tuple[str | bytes | int, ...]],
    limit_s: float,
) -> list[bytes]:
    # Not a pipeline of redis-py: that of a Cluster refuses scripts.
    replies = [b""] * len(commands)
    connections: list[tuple[ConnectionPool, Any]] = []
    try:
        for pool, sent in places.items():
            connection: Any = pool.get_connection()  # has no types
            connections.append((pool, connection))
            packed = connection.pack_commands([commands[place] for place in sent])
            connection.send_packed_command(packed)
        until = time.monotonic() + limit_s
        for (_, connection), sent in zip(connections, places.values(), strict=True):
            for place in sent:
                if time.monotonic() > until:
                    # Each just in time, a block's answers would hold it up for half a minute.
                    raise redis.TimeoutError(f"the answers take longer than {limit_s:g} s")
                replies[place] = connection.read_response()
    except BaseException:
        for _, connection in connections:
            connection.disconnect()  # replies may still be on their way
        raise
    finally:
        for pool, connection in connections:
            pool.release(connection)
    return replies
