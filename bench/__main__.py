"""`python -m bench [--events N] [--only STAGE ...]`, and `python -m bench --render`."""

import argparse
import json
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results"
_PAGE = _HERE.parent / "docs" / "performance.md"

STAGES = (
    *("read", "vanilla", "score", "restore", "store", "book", "book_pairs", "ledger", "draft"),
    *("chain", "end_to_end", "latency", "score_shadow", "collector", "inference"),
)
_NEED_THE_LOG = {"restore", "store", "book", "score_shadow"}
_WITHOUT_THE_LOG = {"book_pairs", "ledger", "draft", "chain", "end_to_end", "latency", "collector"}
_WITHOUT_TRAFFIC = {"collector"}
_WITHOUT_SERVICES = {"inference"}
_LATENCY_S = 20


def chosen(only: Sequence[str]) -> list[str]:
    """The stages to run: those asked for and those that they need."""
    wanted = set(only or STAGES)
    if wanted & _NEED_THE_LOG:
        wanted.add("score")
    if "latency" in wanted:
        wanted.add("end_to_end")
    return [stage for stage in STAGES if stage in wanted]


def main() -> None:
    """Runs the stages, prints the tables, writes the results."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="of the stage score; the others follow"
    )
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="STAGE", default=[])
    parser.add_argument("--render", action="store_true", help="only write docs/performance.md")
    asked = parser.parse_args()
    latest = _RESULTS / "latest.json"
    from bench.report import render, show

    if asked.render:
        render(_PAGE, json.loads(latest.read_text()))
        return
    # The worker of `score` and everything it is compared with have one thread for the model.
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = run(asked.events, chosen(asked.only))
    show(results)
    _RESULTS.mkdir(exist_ok=True)
    written = [_RESULTS / f"{results['date'][:10]}-{results['commit']}.json"]
    if not asked.only:
        written.append(latest)
    for path in written:
        path.write_text(json.dumps(results, indent=2) + "\n")
    Console().print("Written:", *(path.name for path in written))


def run(events: int, stages: Sequence[str]) -> dict[str, Any]:
    """The results of some stages, in the order of `STAGES`."""
    from bench import (
        book,
        chain,
        collector,
        draft,
        end_to_end,
        inference,
        latency,
        ledger,
        read,
        restore,
        score,
        shadow,
        store,
        vanilla,
    )
    from bench.machine import commit, machine
    from bench.workers import running
    from bench.world import world

    console = Console()
    found: dict[str, Any] = {}
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "events": events,
        "machine": machine(),
        "stages": found,
    }

    def say(what: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {what}")

    if "inference" in stages:
        say("inference")
        found["inference"] = inference.measure()
    stages = [stage for stage in stages if stage not in _WITHOUT_SERVICES]
    if not stages:
        return results
    half = events // 2
    simulated = events + 3 * half if set(stages) - _WITHOUT_TRAFFIC else 1_000
    with world(simulated, say) as here:
        settings = here.settings
        if set(stages) - _WITHOUT_THE_LOG:
            say(f"sending {events:,} events")
            here.produce(here.next(events))
        if "read" in stages:
            say("read")
            found["read"] = read.measure(settings, events).to_json()
        if "vanilla" in stages:
            for variant, share in vanilla.VARIANTS:
                say(f"vanilla, {variant}")
                measured = vanilla.measure(settings, variant, events // share)
                found[f"vanilla_{variant}"] = measured.to_json()
        if "score" in stages:
            say("score")
            found["score"] = score.measure(settings, events)
        if "restore" in stages:
            say("restore")
            found["restore"] = restore.measure(settings)
        if "store" in stages:
            say("store")
            accepted = sum(found["score"]["accepted"].values())
            found["store"] = store.measure(settings, accepted)
        if "book" in stages:
            say("book")
            found["book"] = book.measure(settings, found["score"]["accepted"]["valid"])
            found["book_alone"] = book.measure_alone(settings, "book_alone", events)
        if "book_pairs" in stages:
            say("book, 10,000 pairs")
            found["book_pairs"] = book.measure_alone(settings, "book_pairs", events)
        for name, stage in (("ledger", ledger), ("draft", draft), ("chain", chain)):
            if name in stages:
                say(name)
                found[name] = stage.measure(settings)
        if "end_to_end" in stages:
            with running(settings, "score-0", "store", "book") as workers:
                say("end to end: getting ready")
                end_to_end.wait_until_ready(here, workers)
                say("end to end")
                found["end_to_end"] = end_to_end.measure(here, workers, half)
                if "latency" in stages:
                    rate = found["end_to_end"]["per_s"] / 2
                    messages = list(here.next(min(half, int(rate * _LATENCY_S))))
                    say(f"latency, at {rate:,.0f} events/s")
                    found["latency"] = latency.measure(settings, messages, rate)
        if "score_shadow" in stages:
            say("score, with a shadow")
            found["score_shadow"] = shadow.measure(here, half)
        if "collector" in stages:
            found["collector"] = collector.measure(settings, events, say)
    return results


if __name__ == "__main__":
    main()
