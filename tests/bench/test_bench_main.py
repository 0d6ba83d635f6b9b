import pytest

from bench.__main__ import STAGES, chosen, run
from bench.report import sheets


def test_stages_bring_those_that_they_need() -> None:
    assert chosen([]) == list(STAGES)
    assert chosen(["read"]) == ["read"]
    assert chosen(["book"]) == ["score", "book"]
    assert chosen(["latency", "vanilla"]) == ["vanilla", "end_to_end", "latency"]


@pytest.mark.services
def test_a_real_worker_is_measured() -> None:
    events = 3_000
    found = run(events, ["score"])
    score = found["stages"]["score"]
    assert score["events"] == events
    assert sum(score["accepted"].values()) + sum(score["refused"].values()) == events
    assert sum(score["accepted"].values()) > 0.9 * events, "mostly views that are judged"
    assert score["cpu_s"] > 0
    assert score["peak_rss"] > 50 * 2**20
    assert {"decode", "judge", "build"} <= score["steps_s"].keys()
    assert next(sheet.title for sheet in sheets(found)) == "What is wanted"
