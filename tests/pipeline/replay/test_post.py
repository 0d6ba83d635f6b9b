"""Replaying through the front door, to a door of the test and to the real one."""

import json
import socket
import time
from collections import Counter

import pytest
from support.scripted_door import LOST, SECRET_KEY, Act, ScriptedDoor
from support.sdk_clients import VIEW

from pipeline.cli.problems import Problem
from pipeline.replay.post import Door, post


@pytest.fixture
def door():
    found = ScriptedDoor()
    yield found
    found.close()


def event(number, **changes):
    return json.dumps({**VIEW, "event_id": f"event-{number:012}"} | changes).encode()


def test_every_event_is_accounted_for(door):
    door.script = [Act(503, headers=(("Retry-After", "0"),)), LOST, Act(reject={1: "not_json"})]
    events = [event(0), b"{nonsense", b"", b"x" * 70_000, event(3), event(4, sent_at="then")]
    done = post(Door(door.url, SECRET_KEY), events)
    assert done.rejected == Counter(not_json=1, empty_value=1, too_large=1)
    assert (done.read, done.sent, done.failed, done.interrupted) == (6, 3, Counter(), False)
    assert door.seen[-1].lines == [event(0), b"{nonsense", event(3), events[5]]


def test_more_than_the_queue_holds(door):
    done = post(Door(door.url, SECRET_KEY), (event(number) for number in range(30_000)))
    assert done.sent == done.read == len(set(door.accepted())) == 30_000


def test_a_refused_key_ends_it(door):
    door.script = [Act(401, reason="unknown_key")] * 100
    with pytest.raises(Problem, match=r"refuses the key \(unknown_key\): said the test"):
        post(Door(door.url, SECRET_KEY), [event(0)])
    with pytest.raises(Problem, match="no viewledger key"):
        post(Door(door.url, "vlsk_wrong"), [event(0)])


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr("pipeline.replay.post._ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(Problem, match="does not answer"):
        post(Door(f"http://127.0.0.1:{port}", SECRET_KEY), [event(0)])


def test_ctrl_c_waits_for_what_was_sent(door):
    def some():
        yield from (event(number) for number in range(1_500))
        raise KeyboardInterrupt

    done = post(Door(door.url, SECRET_KEY), some())
    assert done.interrupted
    assert done.read == done.sent == len(door.accepted()) >= 1_000


def test_rate(door):
    started = time.monotonic()
    assert post(Door(door.url, SECRET_KEY), map(event, range(30)), rate=100).sent == 30
    assert time.monotonic() - started >= 0.25
