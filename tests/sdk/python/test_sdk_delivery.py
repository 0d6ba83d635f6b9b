"""For any sequence of answers, each event is settled once, and only as the answers allow."""

import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_door import HALF, LOST, RESET, SECRET_KEY, Act, ScriptedDoor
from support.sdk_clients import CLIENTS, VIEW

from viewledger_sdk.answer import Answer
from viewledger_sdk.delivery import NoAnswer, Pause, deliver
from viewledger_sdk.protocol import Request
from viewledger_sdk.queue import Item

statuses = st.sampled_from([202, 202, 400, 401, 408, 413, 413, 429, 500, 502, 503, 504, 200, 307])


@given(st.integers(1, 12), st.data())
def test_each_event_is_settled_once(count, data):
    """As steps, without sockets: the answers are drawn while the delivery goes on."""
    items = [Item(number, f"event-{number:012}", b"{") for number in range(count)]
    accepted, refused, outcomes = set(), set(), []

    def request_of(part):
        return Request("", {}, json.dumps([item.number for item in part]).encode())

    def answer(part):
        status = data.draw(statuses)
        if status not in (202, 400):
            return Answer(status, {"retry-after": "0"}, b"")
        bad = data.draw(st.sets(st.integers(0, len(part) - 1)))
        refused.update(part[row] for row in bad)
        if status == 202:
            accepted.update(part[row] for row in range(len(part)) if row not in bad)
        body = {
            "type": "urn:viewledger:problem:all_rejected",
            "accepted": len(part) - len(bad),
            "rejected": [{"index": row, "reason": "not_json", "detail": ""} for row in bad],
        }
        return Answer(status, {}, json.dumps(body).encode())

    steps = deliver(items, request_of, outcomes.append)
    came, failures = None, 0
    while True:
        try:
            step = steps.send(came)
        except StopIteration:
            break
        if isinstance(step, Pause):
            assert 0 <= step.seconds <= 61
            came = None
        elif failures < 30 and data.draw(st.booleans()):
            failures += 1
            came = NoAnswer("reset")
        else:
            came = answer(json.loads(step().body)) if failures < 30 else Answer(401, {}, b"")
            failures += 1
    settled = [item.number for outcome in outcomes for item in outcome.items]
    assert sorted(settled) == list(range(count))
    said = {item.number: outcome.reason for outcome in outcomes for item in outcome.items}
    assert {number for number, reason in said.items() if reason is None} == accepted
    assert {number for number, reason in said.items() if reason == "not_json"} == refused


acts = st.one_of(
    st.sampled_from([Act(), LOST, HALF, RESET, Act(body=b"{}", taken=True), Act(401), Act(413)]),
    st.sampled_from([408, 429, 502, 503, 504]).map(
        lambda status: Act(status, headers=(("Retry-After", "0"),))
    ),
    st.sets(st.integers(0, 9), min_size=1).map(
        lambda rows: Act(reject=dict.fromkeys(rows, "wrong_type"))
    ),
)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(CLIENTS)), st.lists(acts, max_size=12), st.integers(1, 25))
def test_over_sockets_each_event_arrives_or_is_reported(kind, script, count):
    door, told = ScriptedDoor(), []
    door.script = list(script)
    try:
        with CLIENTS[kind](
            door.url, SECRET_KEY, on_problem=told.append, batch_size=7, linger_s=0.001
        ) as client:
            ids = [client.track(VIEW, post_id=f"post-{i}") for i in range(count)]
            assert client.flush(20)
            counts = client.counts
    finally:
        door.close()
    reported = [one.event_id for one in told]
    assert len(set(ids)) == count
    assert set(ids) == set(door.accepted()) | set(reported)
    assert len(reported) == len(set(reported)) == counts.not_accepted.total()
    assert counts.accepted + len(reported) == count
    for row, event_id in enumerate(ids):
        attempts = door.attempts(event_id)
        assert attempts
        assert {event["post_id"] for event in attempts} == {f"post-{row}"}
        assert len({event["occurred_at"] for event in attempts}) == 1
        sent = [event["sent_at"] for event in attempts]
        assert sent == sorted(sent)
        assert abs(sent[-1] - time.time() * 1000) < 60_000
