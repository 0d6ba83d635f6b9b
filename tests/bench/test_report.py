from pathlib import Path
from typing import Any

import pytest

from bench.report import BEGIN, END, TARGETS, fastest_vanilla, figure, markdown, render, sheets


def stage(events: int, wall_s: float, cpu_s: float, **more: Any) -> dict[str, Any]:
    rates = {"per_s": events / wall_s, "per_cpu_s": events / cpu_s}
    return {"events": events, "wall_s": wall_s, "cpu_s": cpu_s, "peak_rss": 2**20, **rates, **more}


def results(**stages: Any) -> dict[str, Any]:
    machine = {
        "cpu": "a CPU", "cores": 2, "memory_gb": 8.0, "kernel": "Linux 6", "python": "3.11.7",
        "packages": {"numpy": "2.4.6"}, "load_before": 0.1,
    }  # fmt: skip
    return {
        "date": "2026-01-05T00:00:00+00:00",
        "commit": "abc1234",
        "events": 1000,
        "machine": machine,
        "stages": stages,
    }


SCORE = stage(
    1_000_000,
    10,
    8,
    main_thread_cpu_s=7.0,
    steps_s={"decode": 2.0, "velocity": 9.0},
    services_cpu_s={"redis": 1.0},
)
STAGES = {
    "read": stage(1_000_000, 2.5, 2.5),
    "vanilla_per_event": stage(1_000, 1, 1),
    "vanilla_take_1000": stage(10_000, 2, 1),
    "score": SCORE,
}


def rows(found: dict[str, Any], title: str) -> dict[str, list[str]]:
    return {
        row[0]: row[1:]
        for sheet in sheets(found)
        if sheet.title.startswith(title)
        for row in sheet.rows
    }


def test_ratios_are_per_cpu_second_and_against_the_faster_variant() -> None:
    assert fastest_vanilla(STAGES) == 10_000
    wanted = rows(results(**STAGES), "What is wanted")
    assert wanted == {
        "score, events per CPU-second": ["≥ 100,000", "125,000", "yes"],
        "score ÷ vanilla Faust, both per CPU-second": ["≥ 12", "12.50", "yes"],
        "score ÷ merely reading, both per CPU-second": ["≥ 0.25", "0.31", "yes"],
    }


def test_a_figure_that_is_missed_is_shown_as_missed() -> None:
    slow = {**STAGES, "vanilla_take_1000": stage(11_000, 2, 1)}
    row = rows(results(**slow), "What is wanted")["score ÷ vanilla Faust, both per CPU-second"]
    assert row == ["≥ 12", "11.36", "**no**"]


def test_smaller_is_better_for_memory_and_seconds() -> None:
    window, drafting, _ = (target for target in TARGETS if not target.at_least)
    assert window.reached(18)
    assert not window.reached(24.1)
    assert drafting.reached(29.9)
    assert not drafting.reached(30.1)


def test_posting_is_shown_beside_bare_inserts() -> None:
    one = {"writers": 4, "journals_per_transaction": 1, "own": 500.0, "hot": 250.0, "bare": 1000.0}
    posted = rows(results(ledger={"runs": [one]}), "Ledger")
    assert posted == {"4": ["1", "500", "1,000", "0.50", "250", "500", "0.25", "1,000"]}


def test_payouts_and_the_chain_are_shown_in_seconds() -> None:
    draft = {
        "promoters": 100_000, "exported": 10_000,
        **{f"{step}_s": 1.5 for step in ("book", "settle", "draft", "approve", "export")},
    }  # fmt: skip
    chain = {"rows": 500_000, "links": 50, "seal_per_s": 100_000.0, "verify_per_s": 250_000.0}
    found = rows(results(draft=draft, chain=chain), "Payouts")
    assert found["draft a batch over 100,000 promoters"] == ["100,000", "1.50"]
    assert found["verify the chain"] == ["500,000", "2.00"]
    wanted = rows(results(draft=draft, chain=chain), "What is wanted")
    assert wanted["draft over 100,000 promoters, s"] == ["≤ 30", "1.50", "yes"]


def test_waiting_for_redis_is_no_cpu_time_of_a_step() -> None:
    steps = rows(results(**STAGES), "Steps of score")
    assert steps == {
        "decode": ["2.00", "25%"],
        "rest of the main thread": ["5.00", "62%"],
        "other threads: fetching": ["1.00", "12%"],
    }


def test_only_what_was_run_is_shown() -> None:
    assert sheets(results()) == []
    latency = {
        "events": 10, "rate_per_s": 20_000.0, "wall_s": 5.0, "resolution_s": 0.025,
        **{name: {"p50": 0.5, "p99": 1.25} for name in ("visible_s", "scored_s", "stored_s")},
    }  # fmt: skip
    (sheet,) = sheets(results(latency=latency))
    assert sheet.rows[0] == ["from due to visible", "0.50", "1.25"]
    assert "20,000 events/s" in sheet.title


def test_the_collector_is_compared_with_the_slower_of_its_halves() -> None:
    run = {
        "name": "100",
        **stage(100_000, 2, 1, threads_cpu_s={"loop": 0.7, "kafka": 0.2, "http": 0.1}),
        "half": {"rate_per_s": 25_000.0, "p50": 0.0123, "p99": 0.05},
        "empty": stage(100_000, 1, 0.25),
    }
    overload = {
        "connections": 400, "request_bytes": 2**20, "capacity_bytes": 64 * 2**20,
        "peak_before": 100 * 2**20, "peak": 150 * 2**20, "peak_kafka_stopped": 151 * 2**20,
        "answers": {"202": 1000, "503": 5000, "cut": 2, "500": 1},
        "answers_kafka_stopped": {"503": 10},
    }  # fmt: skip
    found = results(
        collector={"runs": [run], "producer": stage(100_000, 1, 0.5), "overload": overload}
    )
    wanted = rows(found, "What is wanted")
    assert wanted["collector, batches of 100, events per CPU-second"][1:] == ["100,000", "yes"]
    speed = ["50,000", "100,000", "400,000", "0.25", "0.50", "0.50", "12.3", "50.0"]
    assert rows(found, "The collector") == {"100": speed}
    assert rows(found, "Where the coll") == {"100": ["7.00", "2.00", "1.00", "10.00"]}
    memory = rows(found, "Memory of the collector: 400 MB offered")
    assert memory["far too much"] == ["150", "1,000", "5,000", "3"]
    assert memory["far too much, Kafka stopped for some seconds"] == ["151", "0", "10", "0"]


def test_forests_are_shown_beside_scikit_learn() -> None:
    run = {
        "candidate": "scikit-learn", "package": "scikit-learn 1.9.1", "trees": 60, "leaves": 8,
        "us_per_row": {"1": 300.0, "8192": 2.5}, "equal": 0.25, "off": 2e-15, "import_s": 0.125,
        "load_s": 0.125, "rss": 3 * 2**20,
    }  # fmt: skip
    ours = {"candidate": "models.forest", "us_per_row": {"1": 200.0, "8192": 0.25}, "off": 0.0}
    slower = {"trees": 40, "leaves": 16, "us_per_row": {"1": 200.0, "8192": 0.625}}
    runs = [run, run | ours, run | ours | slower]
    found = results(inference={"features": 50, "runs": runs})
    (sheet,) = (sheet for sheet in sheets(found) if "50 features" in sheet.title)
    assert sheet.head[2:4] == ["of 1", "of 8,192"]
    shown = ["60 × 8", "300.00", "2.50", "25%", "2e-15", "0.25", "3"]
    assert sheet.rows[0] == ["scikit-learn (scikit-learn 1.9.1)", *shown]
    assert sheet.rows[1][3:6] == ["0.25", "25%", "0"]
    wanted = rows(found, "What is wanted")["a forest over a block, µs per view"]
    assert wanted == ["≤ 0.5", "0.62", "**no**"]


@pytest.mark.parametrize(
    ("value", "text"), [(1_234_567.8, "1,234,568"), (11.97, "11.97"), (0.273, "0.27")]
)
def test_figures(value: float, text: str) -> None:
    assert figure(value) == text


def test_rendering_replaces_only_what_is_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    found = results(**STAGES)
    render(page, found)
    once = page.read_text()
    render(page, found)
    assert page.read_text() == once
    assert once == f"before\n{BEGIN}\n{markdown(found)}{END}\nafter\n"
    assert "| read | 1,000,000 | 2.50 | 2.50 | 400,000 | 400,000 | 1 |" in once


def test_a_page_without_markers_is_not_touched(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"no end: {BEGIN}\n")
    with pytest.raises(ValueError, match="has no"):
        render(page, results())
    assert page.read_text() == f"no end: {BEGIN}\n"
