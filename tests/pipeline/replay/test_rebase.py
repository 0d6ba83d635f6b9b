import gzip
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.replay.rebase import move
from pipeline.replay.replay import messages
from pipeline.replay.survey import survey
from pipeline.simulate.simulate import simulate
from schemas.view import LAST_MS

TIMES = ("occurred_at", "sent_at", "received_at")
possible = st.integers(0, LAST_MS)
anything = st.one_of(possible, st.integers(), st.floats(), st.text(), st.none(), st.booleans())


@given(
    st.lists(st.tuples(possible, possible, possible), min_size=2), st.integers(-(10**12), 10**13)
)
def test_gaps_are_kept(times, shift):
    events = [dict(zip(TIMES, row, strict=True)) for row in times]
    moved = [dict(event) for event in events]
    for event in moved:
        move(event, shift)
    for before, after in zip(events, moved, strict=True):
        assert [after[name] - before[name] for name in TIMES] == [shift] * 3


@given(st.dictionaries(st.sampled_from([*TIMES, "watch_ms"]), anything), st.integers(0, 10**13))
def test_only_possible_times_move(event, shift):
    moved = dict(event)
    move(moved, shift)
    assert moved.keys() == event.keys()
    for name, value in event.items():
        is_time = name in TIMES and type(value) is int and 0 <= value <= LAST_MS
        assert moved[name] is value or (is_time and moved[name] == value + shift)


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ([{"received_at": 5, "occurred_at": 9}, {"received_at": 7, "occurred_at": 1}], 7),
        ([{"occurred_at": 9, "event_id": "x"}, {"occurred_at": 4}], 9),
        # A broken clock or another unit is no end; neither is text.
        ([{"received_at": 5}, {"received_at": 10**16}, {"received_at": "9"}], 5),
        ([{"received_at": True, "event_id": "x"}], None),
        ([{"event_id": "x"}], None),
    ],
)
def test_the_last_event(tmp_path, events, last):
    path = tmp_path / "events"
    path.write_text("\n".join(map(json.dumps, events)))
    assert survey(path, "view", lambda done: None).last_ms == last


def test_the_digest_is_that_of_the_content(tmp_path):
    plain, packed, other = (tmp_path / name for name in ("plain", "packed", "other"))
    content = b'{"event_id":"x"}\n{"event_id":"y"}\n'
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    other.write_bytes(content.replace(b"y", b"z"))
    digests = [survey(path, "view", lambda done: None).sha256 for path in (plain, packed, other)]
    assert digests[0] == digests[1] != digests[2]


def test_ids_for_the_catalogue_are_possible_ones(tmp_path):
    path = tmp_path / "events"
    events = [{"campaign_id": value, "promoter_id": "p"} for value in ("c", "", "c" * 65, 7, None)]
    path.write_text("\n".join(map(json.dumps, events)))
    found = survey(path, "view", lambda done: None)
    assert (found.campaigns, found.promoters) == ({"c"}, {"p"})


def test_messages_of_simulated_traffic(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    simulate(1_000, 1, path)
    lines = gzip.decompress(path.read_bytes()).split(b"\n")[:-1]
    sent = list(messages(path, "view", 1_000))
    assert len(sent) == len(lines)
    keyless = 0
    for line, (key, value) in zip(lines, sent, strict=True):
        try:
            before = msgspec.json.decode(line)
        except (ValueError, RecursionError):
            before = None
        if not isinstance(before, dict):
            assert (key, value) == (None, line)
            keyless += 1
            continue
        after = msgspec.json.decode(value)
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= set(TIMES)
        assert after["received_at"] - before["received_at"] == 1_000
        viewer = before.get("viewer_id")
        assert key == (None if viewer is None else viewer.encode())
        keyless += viewer is None
    assert keyless >= 8
