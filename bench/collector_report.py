"""The tables of the stage `collector`."""

from typing import Any

from bench.sheet import Sheet, figure

_PARTS = {
    "loop": "Python: the event loop",
    "kafka": "librdkafka's threads",
    "http": "granian's threads",
}


def of_100(stage: dict[str, Any]) -> dict[str, Any]:
    """The run with batches of 100 and a publishable key."""
    return next(run for run in stage["runs"] if run["name"] == "100")


def share_of_slower(stage: dict[str, Any], run: dict[str, Any]) -> float:
    """Events per CPU-second ÷ those of the empty handler or the producer alone."""
    slower = min(run["empty"]["per_cpu_s"], stage["producer"]["per_cpu_s"])
    return float(run["per_cpu_s"] / slower)


def sheets_of_collector(stage: dict[str, Any] | None) -> list[Sheet]:
    """Nothing where it was not run."""
    return [] if stage is None else [_speed(stage), _parts(stage), _memory(stage["overload"])]


def _speed(stage: dict[str, Any]) -> Sheet:
    alone = stage["producer"]["per_cpu_s"]
    head = ["batches of", "events/s", "events/CPU-s", "empty handler: events/CPU-s", "÷ empty"]
    head += ["÷ producer alone", "÷ the slower", "at half that rate: p50 ms", "p99 ms"]
    rows = [
        [
            run["name"],
            figure(run["per_s"]),
            figure(run["per_cpu_s"]),
            figure(run["empty"]["per_cpu_s"]),
            figure(run["per_cpu_s"] / run["empty"]["per_cpu_s"]),
            figure(run["per_cpu_s"] / alone),
            figure(share_of_slower(stage, run)),
            *(f"{run['half'][quantile] * 1000:.1f}" for quantile in ("p50", "p99")),
        ]
        for run in stage["runs"]
    ]
    title = f"The collector; its producer alone takes {figure(alone)} events/CPU-s"
    return Sheet(title, head, rows)


def _parts(stage: dict[str, Any]) -> Sheet:
    rows = [
        [
            run["name"],
            *(figure(run["threads_cpu_s"][part] / run["events"] * 1e6) for part in _PARTS),
            figure(run["cpu_s"] / run["events"] * 1e6),
        ]
        for run in stage["runs"]
    ]
    title = "Where the collector's CPU time goes, µs per event"
    return Sheet(title, ["batches of", *_PARTS.values(), "all"], rows)


def _memory(one: dict[str, Any]) -> Sheet:
    offered = one["connections"] * one["request_bytes"]
    title = (
        f"Memory of the collector: {_mb(offered)} MB offered at once by {one['connections']} "
        f"connections, {_mb(one['capacity_bytes'])} MB let in"
    )
    rows = [
        ["after the runs above", _mb(one["peak_before"]), "", "", ""],
        ["far too much", _mb(one["peak"]), *_answers(one["answers"])],
        [
            "far too much, Kafka stopped for some seconds",
            _mb(one["peak_kafka_stopped"]),
            *_answers(one["answers_kafka_stopped"]),
        ],
    ]
    return Sheet(title, ["", "peak MB so far", "202", "503", "other"], rows)


def _answers(by_status: dict[str, int]) -> list[str]:
    other = sum(count for status, count in by_status.items() if status not in ("202", "503"))
    return [f"{by_status.get('202', 0):,}", f"{by_status.get('503', 0):,}", f"{other:,}"]


def _mb(size: float) -> str:
    return f"{size / 2**20:,.0f}"
