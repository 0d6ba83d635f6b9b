import csv
import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.simulate.simulate import make_traffic, simulate
from pipeline.simulate.traffic import DELIVERY_SPAN_MS, START_MS, Label
from schemas.verdicts import Refusal
from schemas.view import View

LINES = 20_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    out, labels = folder / "events.ndjson.gz", folder / "labels.csv"
    simulate(LINES, 5, out, labels, folder / "catalogue.jsonl")
    lines = gzip.decompress(out.read_bytes()).split(b"\n")
    assert lines.pop() == b""
    return lines, list(csv.DictReader(labels.read_text().splitlines())), folder


@pytest.fixture(scope="module")
def sound(files):
    lines, labels, _ = files
    return [
        (json.loads(line), label)
        for line, label in zip(lines, labels, strict=True)
        if label["label"] != "malformed"
    ]


def test_same_seed_same_bytes(tmp_path):
    names = ["events.ndjson.gz", "labels.csv.gz", "catalogue.jsonl"]
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / folder).mkdir()
        simulate(3_000, seed, *(tmp_path / folder / name for name in names))
    for name in names:
        first, again, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == again
        assert first != other


@given(lines=st.integers(1, 700), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_any_size_comes_to_exactly_as_many_lines(lines, seed):
    traffic = make_traffic(lines, seed)
    assert len(traffic.delivered.event) == lines
    assert (np.diff(traffic.delivered.received_at) >= 0).all()
    assert set(traffic.delivered.event) == set(range(len(traffic.views)))


def test_a_label_for_every_line(files):
    lines, labels, _ = files
    assert len(lines) == len(labels) == LINES
    assert [int(label["line"]) for label in labels] == list(range(1, LINES + 1))


def test_sound_lines_are_views_with_the_labelled_id(sound):
    import msgspec

    for event, label in sound:
        msgspec.convert(event, View)
        assert event["event_id"] == label["event_id"]


def test_duplicates_differ_in_delivery_only(sound):
    first = {}
    repeats = 0
    for delivered, label in sound:
        event = dict(delivered)
        delivery = {key: event.pop(key) for key in ("sent_at", "received_at")}
        earlier = first.setdefault(event["event_id"], (event, delivery))
        assert (label["is_duplicate"] == "1") == (earlier[1] is not delivery)
        if earlier[1] is not delivery:
            repeats += 1
            assert event == earlier[0]
            assert delivery["received_at"] >= earlier[1]["received_at"]
            assert label["refusal"] != ""
    assert repeats == pytest.approx(0.03 * LINES, abs=1)


def test_times_fit_the_accept_window_once_replayed(sound):
    for event, label in sound:
        age = (
            START_MS
            + DELIVERY_SPAN_MS
            - (event["occurred_at"] + event["received_at"] - event["sent_at"])
        )
        if label["refusal"] == Refusal.TOO_LATE.label:
            assert age > 25 * 3_600_000
        elif label["refusal"] == Refusal.IN_FUTURE.label:
            assert age < -25 * 3_600_000
        else:
            assert 0 <= age <= 18 * 3_600_000


def test_refusals_follow_from_the_catalogue(files, sound):
    rows = [json.loads(line) for line in (files[2] / "catalogue.jsonl").read_text().splitlines()]
    campaigns = {row["campaign_id"]: row for row in rows if "campaign_id" in row}
    promoters = {row["promoter_id"]: row for row in rows if "promoter_id" in row}
    assert {row["currency"] for row in campaigns.values()} == {"EUR", "USD"}
    seen = Counter()
    for event, label in sound:
        campaign = campaigns.get(event["campaign_id"])
        promoter = promoters.get(event["promoter_id"])
        if campaign is None:
            expected = Refusal.UNKNOWN_CAMPAIGN
        elif promoter is None:
            expected = Refusal.UNKNOWN_PROMOTER
        elif campaign["ends_at"] < "2026":
            expected = Refusal.CAMPAIGN_ENDED
        elif campaign["starts_at"] > "2090":
            expected = Refusal.CAMPAIGN_NOT_STARTED
        elif campaign["status"] == "paused":
            expected = Refusal.CAMPAIGN_PAUSED
        elif promoter["status"] == "suspended":
            expected = Refusal.PROMOTER_SUSPENDED
        else:
            allowed = {"", "duplicate", "too_late", "in_future"}
            assert label["refusal"] in allowed
            continue
        seen[expected] += 1
        assert label["refusal"] == expected.label
    assert len(seen) == 6


def test_shares(files):
    labels = Counter(row["label"] for row in files[1])
    bots = LINES - labels["human"] - labels["malformed"]
    assert 0.23 < bots / LINES < 0.27
    assert set(labels) == {label.name.lower() for label in Label}
    assert all(labels[label.name.lower()] > 0.015 * LINES for label in list(Label)[:-1])


def test_people_share_addresses_and_bots_look_like_people(sound):
    people = [event for event, label in sound if label["label"] == "human"]
    behind = defaultdict(set)
    for event in people:
        behind[event["ip"]].add(event["viewer_id"])
    assert max(len(viewers) for viewers in behind.values()) > 30
    watched = np.array([event["watch_ms"] for event in people])
    assert np.quantile(watched, 0.99) > 10 * np.median(watched)
    slow = [event["watch_ms"] for event, label in sound if label["label"] == "slow_distributed"]
    grid = np.quantile(watched, np.linspace(0.05, 0.95, 19))
    apart = abs((watched[:, None] < grid).mean(0) - (np.array(slow)[:, None] < grid).mean(0))
    assert 0.01 < apart.max() < 0.25


def test_ids_do_not_tell(sound):
    for name in ("event_id", "viewer_id", "session_id", "post_id"):
        assert len({len(event[name]) for event, _ in sound}) == 1
        assert all(set(event[name]) <= set("0123456789abcdef") for event, _ in sound)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        simulate(100, 1, tmp_path / "events.ndjson", tmp_path / "none" / "labels.csv")
    assert list(tmp_path.iterdir()) == []
