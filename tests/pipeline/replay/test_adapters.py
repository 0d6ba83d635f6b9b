import gzip
import json
from pathlib import Path

import msgspec
import pytest

from pipeline.cli.problems import Problem
from pipeline.replay.adapters import ADAPTERS
from pipeline.replay.source import read_lines
from pipeline.replay.survey import survey
from schemas.view import View

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
CLICKS = """ip,app,device,os,channel,click_time,attributed_time,is_attributed
183938,12,1,17,328,2017-11-07 11:31:40,,0
183938,12,1,17,328,2017-11-07 11:31:40,,0
59456,21,1,13,128,2017-11-07 11:31:41,2017-11-07 11:40:00,1
"""
EDIT = {
    "time": "2015-09-12T00:46:58.771Z",
    "channel": "#en.wikipedia",
    "comment": "secret comment",
    "isRobot": True,
    "namespace": "User talk",
    "page": "Oswald Tilghman",
    "user": "PereBot",
    "delta": 36,
}


def read(tmp_path, adapter, content):
    path = tmp_path / "input"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(ADAPTERS[adapter](path, read_lines(path)))


def test_talkingdata(tmp_path):
    rows = read(tmp_path, "talkingdata", CLICKS)
    assert [number for number, _ in rows] == [2, 3, 4]
    events = [event for _, event in rows]
    for event in events:
        msgspec.convert(event, View)
    assert len({event["event_id"] for event in events}) == 3
    assert events[0] | {"event_id": ""} == events[1] | {"event_id": ""}
    assert events[0]["occurred_at"] == 1_510_054_300_000
    assert events[0]["ip"] == "10.2.206.130"
    assert (events[2]["campaign_id"], events[2]["promoter_id"]) == ("app-21", "channel-128")


def test_the_label_of_talkingdata_leaves_no_trace(tmp_path):
    other = CLICKS.replace("2017-11-07 11:40:00,1", ",0")
    assert other != CLICKS
    assert read(tmp_path, "talkingdata", CLICKS) == read(tmp_path, "talkingdata", other)


def test_wikipedia(tmp_path):
    line = json.dumps(EDIT) + "\n"
    (_, first), (_, second) = read(tmp_path, "wikipedia", line * 2)
    msgspec.convert(first, View)
    assert first["event_id"] != second["event_id"]
    assert first["occurred_at"] == 1_442_018_818_771
    assert (first["campaign_id"], first["promoter_id"]) == ("en.wikipedia", "user-talk")
    said = json.dumps(first)
    for hidden in ("PereBot", "comment", "Oswald", "obot"):
        assert hidden not in said
    person = json.dumps(EDIT | {"isRobot": False, "comment": ""})
    assert read(tmp_path, "wikipedia", person)[0][1] == first


def test_view_passes_bad_lines_on_as_they_are(tmp_path):
    bad = [b"", b"nonsense", b"[1]", b"\xff\xfe", b'{"a":NaN}', b"[" * 100_000, b'"\\ud800"']
    content = b"\n".join([*bad, b'{"event_id": 7}', b""])
    rows = read(tmp_path, "view", content)
    assert [event for _, event in rows] == [*bad, {"event_id": 7}]
    assert [number for number, _ in rows] == list(range(1, 9))


@pytest.mark.parametrize(
    ("adapter", "content", "where", "says"),
    [
        ("talkingdata", '{"schema": "view/1"}', "line 1", "expected a CSV header"),
        ("talkingdata", "ip,app,device,os,channel\n", "line 1", "click_time missing"),
        ("talkingdata", CLICKS + "1,2,3\n", "line 5", "expected 8 columns, found 3"),
        ("talkingdata", CLICKS.replace("59456", "-5"), "line 4", "for ip, found '-5'"),
        ("talkingdata", CLICKS.replace("11:31:41", "31:41"), "line 4", "click_time like"),
        ("talkingdata", CLICKS.replace("11:31:41", "25:31:41"), "line 4", "click_time like"),
        ("talkingdata", b"\x00\xff\xfe binary", "line 1", "expected a CSV header"),
        ("wikipedia", CLICKS, "line 1", "expected a JSON object"),
        ("wikipedia", json.dumps(EDIT) + '\n{"time": 5}\n', "line 2", "time"),
        ("wikipedia", json.dumps(EDIT | {"time": "2015-09-12T00:00:00"}), "line 1", "time zone"),
        ("wikipedia", json.dumps(EDIT | {"channel": "c" * 65}), "line 1", "channel"),
        ("view", CLICKS, "line 1", "expected one JSON object of view/1 per line, found 'ip,app"),
        ("view", json.dumps(EDIT), "line 1", "--adapter"),
        ("view", "\n" * 100 + '{"schema": "view/1"}', "line 1", "first 100 lines"),
    ],
)
def test_wrong_files(tmp_path, adapter, content, where, says):
    with pytest.raises(Problem) as caught:
        read(tmp_path, adapter, content)
    assert says in str(caught.value)
    assert f"{tmp_path / 'input'}, {where}" in str(caught.value)


def test_damaged_gzip_says_after_which_line(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    lines = b"".join(b'{"schema":"view/1","event_id":"%032d"}\n' % i for i in range(20_000))
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    said = r"events.ndjson.gz: damaged gzip, a little after line \d{3,}"
    with pytest.raises(Problem, match=said):
        survey(path, "view", lambda done: None)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(Problem, match="damaged gzip"):
        survey(path, "view", lambda done: None)


@pytest.mark.parametrize(("name", "says"), [("none", "no such file"), (".", "regular file")])
def test_not_a_file(tmp_path, name, says):
    with pytest.raises(Problem, match=says):
        survey(tmp_path / name, "view", lambda done: None)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_empty_files(tmp_path, adapter):
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(Problem, match="empty"):
        survey(path, adapter, lambda done: None)
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(Problem):
        survey(path, adapter, lambda done: None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "name", "rows", "campaigns"),
    [
        ("talkingdata", "talkingdata-2017-11-07T1131.csv.gz", 100_000, 157),
        ("wikipedia", "wikipedia-edits-2015-09-12-am.ndjson.gz", 19_622, 49),
    ],
)
def test_real_files(adapter, name, rows, campaigns):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    events = [event for _, event in ADAPTERS[adapter](path, read_lines(path))]
    assert len({event["event_id"] for event in events}) == len(events) == rows
    assert len({event["campaign_id"] for event in events}) == campaigns
    for event in events[::97]:
        msgspec.convert(event, View)
