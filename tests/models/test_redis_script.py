"""One round trip to every kind of Redis, and what comes after its servers were killed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from support.redis_servers import (
    HOST,
    QUOTED,
    Running,
    cluster,
    failover,
    hand_over,
    kill_master,
    replicated,
    server,
    until,
)

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


@pytest.mark.services
def test_answers_that_all_come_just_in_time_are_too_slow_together(own: Running) -> None:
    busy = """
        local function now() local t = redis.call('TIME'); return t[1] * 1e6 + t[2] end
        local till = now() + 0.3e6
        while now() < till do end
        return redis.call('INCRBY', KEYS[1], ARGV[1])
    """
    script = RedisScript(url_of(own), 1, busy)
    # Redis reads large calls, as those of blocks are, one by one, and answers each by itself.
    few: list[Call] = [(["{slow}"], [b"1", bytes(100_000)])] * 2
    assert len(script.run(few)) == 2
    with pytest.raises(redis.TimeoutError, match="longer than 3 s"):
        script.run(few * 7)
    script.close()


@pytest.mark.services
def test_after_a_failover_it_goes_on_with_the_replica(tmp_path: Path) -> None:
    with failover(tmp_path) as (master, replica, sentinel):
        url = f"redis+sentinel://:{QUOTED}@{HOST}:1,{HOST}:{sentinel.port}/main/0"
        script = RedisScript(url, 5, COUNT)
        assert script.run(CALLS) == counted(1)
        replicated(master)
        kill_master(master, sentinel)
        with pytest.raises(redis.ConnectionError):
            script.run(CALLS)
        until(lambda: script.run(CALLS))
        assert script.run(CALLS) == counted(3)
        with replica.client() as client:
            assert client.role()[0] == b"master"
        script.close()


@pytest.mark.services
def test_a_master_that_became_a_replica_is_left(tmp_path: Path) -> None:
    with failover(tmp_path) as (master, replica, sentinel):
        script = RedisScript(f"redis+sentinel://:{QUOTED}@{HOST}:{sentinel.port}/main", 5, COUNT)
        assert script.run(CALLS[:1]) == counted(1)[:1]
        replicated(master)
        hand_over(master, replica, sentinel)
        with pytest.raises(redis.RedisError):
            script.run(CALLS[:1])
        until(lambda: script.run(CALLS[:1]))
        assert script.run(CALLS[:1]) == counted(3)[:1]
        script.close()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    with cluster(tmp_path_factory.mktemp("redis") / "cluster") as found:
        yield found


@pytest.fixture
def in_cluster(nodes: list[Running]) -> Iterator[RedisScript]:
    for node in nodes:
        with node.client() as client:
            client.flushall()
    hosts = ",".join(f"{HOST}:{node.port}" for node in nodes)
    script = RedisScript(f"redis+cluster://:{QUOTED}@{hosts}", 5, COUNT)
    yield script
    script.close()


@pytest.mark.services
def test_every_node_of_a_cluster_gets_its_calls(
    nodes: list[Running], in_cluster: RedisScript
) -> None:
    assert in_cluster.run(CALLS) == counted(1)
    for node in nodes:
        with node.client() as client:
            assert client.dbsize() > 0


@pytest.mark.services
def test_threads_do_not_take_each_others_replies(in_cluster: RedisScript) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: in_cluster.run(CALLS), range(40)))
    for i in range(20):
        assert sorted(int(replies[i].split()[0]) for replies in found) == list(range(1, 41))


@pytest.mark.services
def test_a_node_that_is_away_fails_the_round_and_comes_back(
    nodes: list[Running], in_cluster: RedisScript
) -> None:
    in_cluster.run(CALLS)
    nodes[0].kill()
    for _ in range(3):
        with pytest.raises(redis.RedisError):
            in_cluster.run(CALLS)
    nodes[0].start()
    until(lambda: in_cluster.run(CALLS))


@pytest.mark.services
def test_a_slot_that_moved_is_found(nodes: list[Running], in_cluster: RedisScript) -> None:
    moved: list[Call] = [(["{moved}"], [b"1"])]
    with nodes[0].client() as client:
        slot = client.cluster("KEYSLOT", "{moved}")
    with nodes[(slot * 3 // 16384 + 1) % 3].client() as client:
        new = client.cluster("MYID")
    assert in_cluster.run(CALLS) == counted(1)
    for node in nodes:
        with node.client() as client:
            client.cluster("SETSLOT", slot, "NODE", new)
    with pytest.raises(redis.exceptions.MovedError):
        in_cluster.run(moved)
    assert in_cluster.run([*moved, *CALLS]) == [b"1", *counted(2)]


@pytest.mark.services
@pytest.mark.parametrize("what", ["nowhere", "without slots", "no cluster"])
def test_what_is_no_cluster_is_an_error_of_redis(what: str, tmp_path: Path) -> None:
    options = "cluster-enabled yes" if what == "without slots" else ""
    with server(tmp_path / "one", options) as one:
        port = 1 if what == "nowhere" else one.port
        script = RedisScript(f"redis+cluster://:{QUOTED}@{HOST}:{port}", 1, COUNT)
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                script.run(CALLS)
