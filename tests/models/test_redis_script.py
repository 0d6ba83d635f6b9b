"""One round trip to every kind of Redis, and what comes after its servers were killed."""

from collections.abc import Iterator

import pytest
import redis
from support.redis_servers import HOST, QUOTED, Running, server

from models.redis_script import Call, RedisScript

COUNT = """
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('INCRBY', key, ARGV[i]) end
return table.concat(found, ' ')
"""
CALLS: list[Call] = [([f"{{{i}}}:a", f"{{{i}}}:b"], [b"1", b"%d" % i]) for i in range(20)]
"""Hash tags of all three nodes of a Cluster."""


def counted(times: int) -> list[bytes]:
    return [b"%d %d" % (times, times * i) for i in range(20)]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("redis") / "one") as found:
        yield found


def url_of(one: Running) -> str:
    return f"redis://:{QUOTED}@{HOST}:{one.port}/0"


@pytest.mark.services
def test_one_server(own: Running) -> None:
    script = RedisScript(url_of(own), 5, COUNT)
    with own.client() as client:
        assert script.run(CALLS) == counted(1)
        client.script_flush()
        client.client_kill_filter(_type="normal", skipme=True)
        assert script.run(CALLS) == counted(2)
        assert script.run([]) == []
        script.close()


@pytest.mark.services
def test_what_a_server_says_is_raised_and_the_next_replies_are_right(own: Running) -> None:
    script = RedisScript(url_of(own), 5, "return redis.call(ARGV[1], KEYS[1])")
    wrong: Call = (["{x}"], [b"NOSUCH"])
    right: Call = (["{x}"], [b"GET"])
    with own.client() as client:
        client.set("{x}", "1")
    with pytest.raises(redis.ResponseError, match=r"(?i)unknown"):
        script.run([wrong, right, wrong])
    assert script.run([right, right]) == [b"1", b"1"]
    script.close()
