"""Both clients against real sockets: every event arrives at least once, or is reported."""

import hashlib
import hmac
import socket
import threading
import time

import pytest
from support.scripted_door import HALF, LOST, PUBLISHABLE_KEY, RESET, SECRET_KEY, Act
from support.sdk_clients import VIEW

from viewledger_sdk import (
    ClientClosed,
    ConfigError,
    InvalidEvent,
    QueueFull,
    View,
)


def test_views_arrive_and_are_signed(door, make_client):
    with make_client(door.url, SECRET_KEY) as client:
        first = client.track(VIEW)
        second = client.track(View(**VIEW, event_id="my-own-id-0000001", attrs={"a": "b"}))
        third = client.track(**VIEW, occurred_at=17)
        assert client.flush(20)
        assert client.counts.accepted == client.counts.tracked == 3
    [seen] = door.seen
    assert seen.ids == [first, second, third] == [first, "my-own-id-0000001", third]
    assert [event["occurred_at"] for event in seen.events][2] == 17
    assert {event["schema"] for event in seen.events} == {"view/1"}
    assert abs(seen.events[0]["occurred_at"] - time.time() * 1000) < 60_000
    assert all(event["sent_at"] >= seen.events[0]["occurred_at"] for event in seen.events)
    assert seen.path == "/v1/views"
    assert seen.headers["x-viewledger-key"] == SECRET_KEY[:17]
    message = seen.headers["x-viewledger-timestamp"].encode() + b"." + seen.wire
    expected = hmac.new(SECRET_KEY[18:].encode(), message, hashlib.sha256).hexdigest()
    assert seen.headers["x-viewledger-signature"] == f"v1={expected}"
    assert not any(SECRET_KEY[18:] in value for value in seen.headers.values())


def test_a_publishable_key_names_its_origin(door, make_client):
    with pytest.raises(ConfigError, match="origin"):
        make_client(door.url, PUBLISHABLE_KEY)
    with make_client(door.url, PUBLISHABLE_KEY, origin="https://shop.example") as client:
        client.track(VIEW)
    [seen] = door.seen
    assert seen.headers["origin"] == "https://shop.example"
    assert seen.headers["x-viewledger-key"] == PUBLISHABLE_KEY
    assert "x-viewledger-signature" not in seen.headers


def test_large_bodies_are_compressed(door, make_client):
    with make_client(door.url, SECRET_KEY, batch_size=10) as client:
        ids = [client.track(VIEW) for _ in range(10)]
        assert client.flush(20)
    assert door.accepted() == ids
    assert door.seen[0].headers["content-encoding"] == "gzip"


def test_rejections_are_told_and_harm_no_neighbour(door, make_client):
    door.script = [Act(reject={1: "unknown_platform"})]
    told = []
    with make_client(door.url, SECRET_KEY, on_problem=told.append) as client:
        ids = [client.track(VIEW) for _ in range(3)]
        assert client.flush(20)
        assert client.counts.accepted == 2
        assert client.counts.not_accepted == {"unknown_platform": 1}
    [problem] = told
    assert (problem.event_id, problem.reason, problem.status) == (ids[1], "unknown_platform", 202)
    assert problem.detail == "said the test"
    assert ids[1].encode() in problem.event
    assert len(door.seen) == 1


def test_all_rejected(door, make_client):
    door.script = [Act(400, reject={0: "no_consent", 1: "campaign_not_allowed"}, taken=False)]
    told = []
    with make_client(door.url, SECRET_KEY, on_problem=told.append) as client:
        ids = [client.track(VIEW) for _ in range(2)]
        assert client.flush(20)
    assert [(one.event_id, one.reason) for one in told] == [
        (ids[0], "no_consent"),
        (ids[1], "campaign_not_allowed"),
    ]


@pytest.mark.parametrize("status", [200, 307, 408, 429, 500, 502, 503, 504])
def test_the_same_event_is_sent_again(door, make_client, status):
    door.script = [Act(status, taken=False)] * 3
    with make_client(door.url, SECRET_KEY) as client:
        event_id = client.track(VIEW)
        assert client.flush(20)
    attempts = door.attempts(event_id)
    assert len(attempts) == 4
    assert len({event["occurred_at"] for event in attempts}) == 1
    sent = [event["sent_at"] for event in attempts]
    assert sent == sorted(sent)
    assert door.accepted() == [event_id]


def test_retry_after_holds_for_every_batch(door, make_client):
    door.script = [Act(503, headers=(("Retry-After", "1"),))]
    with make_client(door.url, SECRET_KEY, connections=2, batch_size=1) as client:
        ids = [client.track(VIEW)]
        while not client.counts.answers:
            time.sleep(0.01)
        time.sleep(0.5)
        ids.append(client.track(VIEW))
        assert client.flush(20)
    assert len(door.seen) == 3
    assert min(one.at for one in door.seen[1:]) - door.seen[0].at >= 0.99
    # Nor were they signed before: a signature is good for five minutes, the wait may be an hour.
    signed = [int(one.headers["x-viewledger-timestamp"]) for one in door.seen]
    assert min(signed[1:]) - signed[0] >= 990
    sent = [one.events[0]["sent_at"] for one in door.seen]
    assert min(sent[1:]) - sent[0] >= 990
    assert sorted(door.accepted()) == sorted(ids)


@pytest.mark.parametrize("fault", [LOST, HALF, RESET], ids=["lost", "half", "reset"])
def test_no_answer(door, make_client, fault):
    door.script = [fault] * 2
    with make_client(door.url, SECRET_KEY) as client:
        event_id = client.track(VIEW)
        assert client.flush(20)
        assert client.counts.accepted == 1
    assert len(door.attempts(event_id)) == 3


def test_too_slow(door, make_client):
    door.script = [Act(wait_s=0.6, taken=True)]
    with make_client(door.url, SECRET_KEY, timeout_s=0.2) as client:
        event_id = client.track(VIEW)
        assert client.flush(20)
    assert len(door.attempts(event_id)) >= 2


def test_a_202_of_somebody_else_is_no_answer(door, make_client):
    door.script = [
        Act(body=b"<html>", taken=False),
        Act(body=b'{"accepted": 1}', taken=False),
    ]
    with make_client(door.url, SECRET_KEY) as client:
        event_id = client.track(VIEW)
        assert client.flush(20)
    assert len(door.attempts(event_id)) == 3


def test_nobody_listens_yet(door, make_client):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    told = []
    with make_client(f"http://127.0.0.1:{port}", SECRET_KEY, on_problem=told.append) as client:
        event_id = client.track(VIEW)
        assert not client.flush(0.1)
        assert client.unsettled == 1
        assert not client.close(0.1)
    assert [(one.event_id, one.reason, one.status) for one in told] == [(event_id, "not_sent", 0)]


def test_too_large_is_halved(door, make_client):
    door.script = [Act(413), Act(413), Act(), Act()]
    with make_client(door.url, SECRET_KEY, batch_size=8, connections=1) as client:
        ids = [client.track(VIEW) for _ in range(8)]
        assert client.flush(20)
    assert [len(one.lines) for one in door.seen] == [8, 4, 2, 2, 4]
    assert door.accepted() == ids


def test_one_event_that_is_too_large_is_given_up(door, make_client):
    door.script = [Act(413)]
    told = []
    with make_client(door.url, SECRET_KEY, on_problem=told.append) as client:
        client.track(VIEW)
        assert client.flush(20)
    assert [one.reason for one in told] == ["too_large"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 415])
def test_what_would_not_help_is_not_repeated(door, make_client, status):
    door.script = [Act(status, reason="unknown_key", taken=False)]
    told = []
    with make_client(door.url, SECRET_KEY, on_problem=told.append) as client:
        ids = [client.track(VIEW) for _ in range(2)]
        assert client.flush(20)
    assert len(door.seen) == 1
    assert [(one.event_id, one.reason, one.status) for one in told] == [
        (event_id, "unknown_key", status) for event_id in ids
    ]


def test_a_full_queue_says_so_and_takes_again_later(door, make_client):
    door.script = [Act(wait_s=2)]
    with make_client(door.url, SECRET_KEY, max_queue=3, batch_size=3) as client:
        ids = [client.track(VIEW) for _ in range(3)]
        with pytest.raises(QueueFull, match="3 events wait"):
            client.track(VIEW)
        assert not client.wait_for_room(0.05)
        assert client.wait_for_room(20)
        ids.append(client.track(VIEW))
        assert client.flush(20)
        assert client.counts.tracked == 4
    assert sorted(set(door.accepted())) == sorted(ids)


def test_a_forwarded_event_is_sent_as_it_is(door, make_client):
    lines = [b'{"event_id": "an-event-of-another", "sent_at": 3}', b"{nonsense", b"\xff"]
    door.script = [Act(reject={1: "not_json", 2: "invalid_utf8"})]
    told = []
    with make_client(door.url, SECRET_KEY, on_problem=told.append) as client:
        for line in lines:
            client.forward(line)
    assert door.seen[0].lines == lines
    assert [(one.event, one.reason) for one in told] == [
        (lines[1], "not_json"),
        (lines[2], "invalid_utf8"),
    ]


def test_an_event_that_nobody_would_take_is_told_at_once(door, make_client):
    with make_client(door.url, SECRET_KEY) as client:
        with pytest.raises(InvalidEvent, match="no platform, visible_pct"):
            client.track({k: v for k, v in VIEW.items() if k not in ("platform", "visible_pct")})
        with pytest.raises(InvalidEvent, match="16 to 64"):
            client.track(**VIEW, event_id="short")
        with pytest.raises(InvalidEvent, match="JSON"):
            client.track(VIEW, watch_ms=float("nan"))
        with pytest.raises(InvalidEvent, match="at most 65536"):
            client.track(**VIEW, referrer="x" * 70_000)
        with pytest.raises(InvalidEvent, match="line break"):
            client.forward(b"{}\n{}")
        with pytest.raises(InvalidEvent, match="empty"):
            client.forward(b" ")
        assert client.counts.tracked == 0
    assert not door.seen


def test_after_close_nothing_is_taken(door, make_client):
    client = make_client(door.url, SECRET_KEY)
    client.close()
    assert client.close()
    if make_client.__name__ == "Client":
        with pytest.raises(ClientClosed):
            client.track(VIEW)
        assert client.flush()


def test_a_callback_that_fails_stops_nothing(door, make_client, caplog):
    door.script = [Act(reject={0: "not_json"})]

    def fail(_problem):
        raise RuntimeError("a bug of the application")

    with make_client(door.url, SECRET_KEY, on_problem=fail, batch_size=1) as client:
        client.track(VIEW)
        assert client.flush(20)
        client.track(VIEW)
        assert client.flush(20)
    assert len(door.seen) == 2
    assert "on_problem failed" in caplog.text


def test_without_a_callback_it_is_logged(door, make_client, caplog):
    door.script = [Act(401, reason="unknown_key")]
    with make_client(door.url, SECRET_KEY) as client:
        client.track(VIEW)
    assert "1 events were not accepted: unknown_key (said the test)" in caplog.text


def test_many_threads_and_batches_that_fit(door, make_client):
    big = {**VIEW, "referrer": "x" * 40_000}
    with make_client(door.url, SECRET_KEY, connections=4, batch_size=500) as client:
        found = []

        def track():
            found.extend(client.track(big) for _ in range(25))

        threads = [threading.Thread(target=track) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(20)
    assert sorted(door.accepted()) == sorted(found)
    assert len(set(found)) == 100
    assert max(sum(map(len, one.lines)) + len(one.lines) for one in door.seen) <= 1024 * 1024
    assert len(door.seen) >= 4


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("ftp://x", SECRET_KEY), {}, "https://collect.example"),
        (("https://x?key=1", SECRET_KEY), {}, "https://collect.example"),
        (("https://x", "vlsk_secret"), {}, "no viewledger key"),
        (("https://x", SECRET_KEY), {"batch_size": 501}, "1 to 500"),
        (("https://x", SECRET_KEY), {"max_queue": 0}, "1 or more"),
    ],
)
def test_wrong_arguments(make_client, arguments, options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make_client(*arguments, **options)
    assert "vlsk_secret" not in str(caught.value)
