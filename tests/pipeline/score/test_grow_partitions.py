"""scripts/grow_partitions.py: a merged window has seen what its parts have; all topics grow."""

from pathlib import Path
from runpy import run_path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.score.window import HOUR_MS, Window, digests
from schemas.topics import RAW, TOPICS

script = run_path(str(Path(__file__).parents[3] / "scripts" / "grow_partitions.py"))
merged = script["merged"]
KEEP = 27
START = 400_000  # hours since 1970

seen = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=20)


def window(entries: list[tuple[int, int]]) -> Window:
    made = Window(KEEP)
    for number, hour in sorted(entries, key=lambda entry: entry[1]):
        made.add(digests([f"id-{number}"]), np.array([(START + hour) * HOUR_MS]))
    return made


@given(st.lists(seen, min_size=1, max_size=4), st.integers(0, 30))
@settings(max_examples=80, deadline=None)
def test_union(parts: list[list[tuple[int, int]]], later: int) -> None:
    windows = [window(entries) for entries in parts]
    one = windows[0]
    for other in windows[1:]:
        one = merged(one, other)
    now = START + 40 + later
    entries = [entry for part in parts for entry in part]
    expected = [
        any(i == number and now - (START + hour) <= KEEP for i, hour in entries)
        for number in range(31)
    ]
    found = one.seen(digests(f"id-{number}" for number in range(31)), now * HOUR_MS)
    assert found.tolist() == expected


def test_every_topic_grows_and_the_one_of_events_last() -> None:
    assert sorted(script["GROWN"]) == sorted(topic.name for topic in TOPICS)
    assert script["GROWN"][-1] == RAW
