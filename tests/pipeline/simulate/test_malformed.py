import json
from types import SimpleNamespace

import pytest

from pipeline.score.decode import decode
from pipeline.simulate.malformed import KINDS, corrupt
from pipeline.simulate.simulate import make_traffic
from pipeline.simulate.writer import chunks
from schemas.verdicts import Refusal

VIEW = {
    "schema": "view/1",
    "event_id": "0123456789abcdef",
    "campaign_id": "c",
    "promoter_id": "p",
    "post_id": "x",
    "platform": "web",
    "viewer_id": "viewer-1",
    "session_id": "session-1",
    "occurred_at": 1_767_571_200_000,
    "sent_at": 1_767_571_200_000,
    "watch_ms": 1,
    "duration_ms": 2,
    "visible_pct": 100,
    "muted": False,
}


@pytest.mark.parametrize(
    ("number", "kind"), list(enumerate(KINDS)), ids=[kind[0] for kind in KINDS]
)
def test_each_kind_is_refused_as_it_says(number, kind):
    value, refusal = corrupt(number, json.dumps(VIEW))
    assert b"\n" not in value
    record = SimpleNamespace(value=value, key=b"viewer-1")
    views, _, (refused,) = decode([record])
    assert not views
    assert refused.refusal == refusal == kind[1]


def test_the_sound_event_is_sound():
    record = SimpleNamespace(value=json.dumps(VIEW).encode(), key=b"viewer-1")
    assert len(decode([record])[0]) == 1


def test_every_kind_is_in_a_small_file():
    traffic = make_traffic(1_000, 1)
    assert set(range(len(KINDS))) <= set(traffic.delivered.malformed)
    lines = b"".join(c.events for c in chunks(*traffic[1:], traffic.catalogue.posts)).split(b"\n")
    marks = b"".join(c.labels for c in chunks(*traffic[1:], traffic.catalogue.posts)).decode()
    refusals = {row.split(",")[4] for row in marks.splitlines() if ",malformed," in row}
    assert refusals == {refusal.label for _, refusal, _ in KINDS}
    assert len(lines) == 1_001
    assert any(b"\xff" in line for line in lines)


def test_a_key_cannot_be_missing_or_wrong_in_a_file():
    """The key of a line is its viewer_id, so these refusals are for other producers."""
    made = {refusal for _, refusal, _ in KINDS}
    assert not made & {Refusal.MISSING_KEY, Refusal.KEY_MISMATCH}
