"""The results as tables: on the terminal, and in docs/performance.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.collector_report import of_100, share_of_slower, sheets_of_collector
from bench.inference_report import of_forest, sheets_of_inference
from bench.sheet import Sheet, figure

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
Results = dict[str, Any]
"""What `bench/results/*.json` holds: `machine`, `commit`, `date`, `stages` by name."""

_VANILLA = ("vanilla_per_event", "vanilla_take_1000")


class Target(NamedTuple):
    """A figure that is wanted."""

    what: str
    wanted: float
    at_least: bool
    measure: Callable[[Results], float]
    """Of the stages; KeyError where one of them was not run."""

    def reached(self, value: float) -> bool:
        """Whether `value` is good enough."""
        return value >= self.wanted if self.at_least else value <= self.wanted


def fastest_vanilla(stages: Results) -> float:
    """Events per CPU-second of the faster variant: what score is compared with."""
    return max(float(stages[name]["per_cpu_s"]) for name in _VANILLA)


TARGETS = (
    Target("score, events per CPU-second", 100_000, True, lambda s: s["score"]["per_cpu_s"]),
    Target(
        "score ÷ vanilla Faust, both per CPU-second",
        12,
        True,
        lambda s: s["score"]["per_cpu_s"] / fastest_vanilla(s),
    ),
    Target(
        "score ÷ merely reading, both per CPU-second",
        0.25,
        True,
        lambda s: s["score"]["per_cpu_s"] / s["read"]["per_cpu_s"],
    ),
    Target(
        "score with a shadow, events per CPU-second",
        60_000,
        True,
        lambda s: s["score_shadow"]["per_cpu_s"],
    ),
    Target("restore, events/s", 1_000_000, True, lambda s: s["restore"]["per_s"]),
    Target(
        "duplicate window, bytes per event sealed",
        24,
        False,
        lambda s: s["restore"]["window_bytes_per_event"],
    ),
    Target("store, rows/s", 150_000, True, lambda s: s["store"]["per_s"]),
    Target("book, the worker, views/s", 100_000, True, lambda s: s["book"]["per_s"]),
    Target("book, 1,000 pairs, views/s", 100_000, True, lambda s: s["book_alone"]["per_s"]),
    Target("book, 10,000 pairs, views/s", 100_000, True, lambda s: s["book_pairs"]["per_s"]),
    Target("draft over 100,000 promoters, s", 30, False, lambda s: s["draft"]["draft_s"]),
    Target("verifying the chain, rows/s", 200_000, True, lambda s: s["chain"]["verify_per_s"]),
    Target(
        "collector, batches of 100, events per CPU-second",
        60_000,
        True,
        lambda s: of_100(s["collector"])["per_cpu_s"],
    ),
    Target(
        "the same ÷ the slower of an empty handler and the producer alone",
        0.5,
        True,
        lambda s: share_of_slower(s["collector"], of_100(s["collector"])),
    ),
    Target("a forest over a block, µs per view", 0.5, False, lambda s: of_forest(s["inference"])),
)


def sheets(results: Results) -> list[Sheet]:
    """All tables of a run, without those whose stages were not run."""
    stages = results["stages"]
    made = [
        _targets(stages),
        _stages(stages),
        _services(stages),
        _steps(stages),
        _redis(stages),
        _ledger(stages),
        _payouts(stages),
        _latency(stages),
        *sheets_of_collector(stages.get("collector")),
        *sheets_of_inference(stages.get("inference")),
    ]
    return [sheet for sheet in made if sheet.rows]


def _targets(stages: Results) -> Sheet:
    rows = []
    for target in TARGETS:
        try:
            value = target.measure(stages)
        except KeyError:
            continue
        wanted = f"{'≥' if target.at_least else '≤'} {target.wanted:,}"
        reached = "yes" if target.reached(value) else "**no**"
        rows.append([target.what, wanted, figure(value), reached])
    return Sheet("What is wanted", ["", "wanted", "measured", "reached"], rows)


def _stages(stages: Results) -> Sheet:
    head = ["stage", "events", "wall s", "CPU s", "events/s", "events/CPU-s", "peak MB"]
    rows = [
        [
            name,
            f"{one['events']:,}",
            f"{one['wall_s']:.2f}",
            f"{one['cpu_s']:.2f}",
            figure(one["per_s"]),
            figure(one["per_cpu_s"]),
            f"{one['peak_rss'] / 2**20:,.0f}",
        ]
        for name, one in stages.items()
        if "cpu_s" in one
    ]
    return Sheet("Stages", head, rows)


def _services(stages: Results) -> Sheet:
    """Who else was busy: a stage that waits is bounded by one of these."""
    measured = {name: one for name, one in stages.items() if "services_cpu_s" in one}
    names = sorted({service for one in measured.values() for service in one["services_cpu_s"]})
    rows = [
        [
            name,
            f"{one['cpu_s'] / one['wall_s']:.0%}",
            *(f"{one['services_cpu_s'][service] / one['wall_s']:.0%}" for service in names),
        ]
        for name, one in measured.items()
    ]
    return Sheet("Share of a core that each was busy", ["stage", "worker", *names], rows)


def _steps(stages: Results) -> Sheet:
    if "score" not in stages:
        return Sheet("", [], [])
    one = stages["score"]
    # All steps but velocity hold the event loop: their time is that of the main thread, plus
    # what it waited for the GIL and for its core.
    steps = {name: seconds for name, seconds in one["steps_s"].items() if name != "velocity"}
    steps["rest of the main thread"] = max(0.0, one["main_thread_cpu_s"] - sum(steps.values()))
    steps["other threads: fetching"] = one["cpu_s"] - one["main_thread_cpu_s"]
    rows = [
        [name, f"{seconds / one['events'] * 1e6:.2f}", f"{seconds / one['cpu_s']:.0%}"]
        for name, seconds in steps.items()
    ]
    return Sheet("Steps of score", ["step", "µs per event", "share of the CPU time"], rows)


def _redis(stages: Results) -> Sheet:
    if "score_shadow" not in stages:
        return Sheet("", [], [])
    one = stages["score_shadow"]
    blocks, kept = one["blocks"], one["redis"]
    rows = [
        ["events in a block", figure(one["events"] / blocks)],
        ["round trip, ms a block", figure(one["steps_s"]["velocity"] / blocks * 1e3)],
        ["processor time, ms a block", figure(one["services_cpu_s"]["redis"] / blocks * 1e3)],
        [
            "processor time, µs an event",
            figure(one["services_cpu_s"]["redis"] / one["events"] * 1e6),
        ],
        ["entities that are remembered", figure(kept["entities"])],
        ["memory, bytes an entity", figure(kept["memory"] / kept["entities"])],
    ]
    return Sheet("Redis, with score and a shadow", ["", "measured"], rows)


def _ledger(stages: Results) -> Sheet:
    """Journals of two entries: entries/s are twice as many."""
    head = ["writers", "journals in a transaction", "own accounts: journals/s", "entries/s"]
    head += [
        "÷ bare",
        "one hot account: journals/s",
        "entries/s",
        "÷ bare",
        "bare loop: journals/s",
    ]
    rows = [
        [
            str(one["writers"]),
            str(one["journals_per_transaction"]),
            *(
                cell
                for work in ("own", "hot")
                for cell in (
                    figure(one[work]),
                    figure(2 * one[work]),
                    figure(one[work] / one["bare"]),
                )
            ),
            figure(one["bare"]),
        ]
        for one in stages.get("ledger", {}).get("runs", [])
    ]
    return Sheet("Ledger: posting, and bare INSERTs of the same rows", head, rows)


def _payouts(stages: Results) -> Sheet:
    rows = []
    if "draft" in stages:
        one = stages["draft"]
        promoters, exported = f"{one['promoters']:,}", f"{one['exported']:,}"
        rows += [
            [f"{what} {promoters} promoters", promoters, f"{one[key]:.2f}"]
            for what, key in (
                ("book", "book_s"),
                ("settle", "settle_s"),
                ("draft a batch over", "draft_s"),
                ("approve it, and seal the chain:", "approve_s"),
            )
        ]
        rows.append([f"export {exported} lines as pain.001", exported, f"{one['export_s']:.2f}"])
    if "chain" in stages:
        one, rows_ = stages["chain"], f"{stages['chain']['rows']:,}"
        rows.append(["seal the chain", rows_, f"{one['rows'] / one['seal_per_s']:.2f}"])
        rows.append(["verify the chain", rows_, f"{one['rows'] / one['verify_per_s']:.2f}"])
    return Sheet("Payouts and the hash chain", ["", "rows", "s"], rows)


def _latency(stages: Results) -> Sheet:
    if "latency" not in stages:
        return Sheet("", [], [])
    one = stages["latency"]
    rows = [
        [name, *(f"{one[key][quantile]:.2f}" for quantile in ("p50", "p99"))]
        for name, key in (
            ("from due to visible", "visible_s"),
            ("of it from views.raw to views.scored", "scored_s"),
            ("of it from views.scored to ClickHouse", "stored_s"),
        )
    ]
    title = (
        f"From produce to visible in ClickHouse, at {one['rate_per_s']:,.0f} events/s "
        f"(ClickHouse asked every {one['resolution_s'] * 1000:.0f} ms)"
    )
    return Sheet(title, ["seconds", "p50", "p99"], rows)


def show(results: Results) -> None:
    """Prints all tables."""
    console = Console()
    for sheet in sheets(results):
        table = Table(title=sheet.title, title_justify="left")
        for number, name in enumerate(sheet.head):
            table.add_column(name, justify="right" if number else "left")
        for row in sheet.rows:
            table.add_row(*(cell.replace("**no**", "[bold red]no[/]") for cell in row))
        console.print(table)


def markdown(results: Results) -> str:
    """All tables and the machine, for the page."""
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        (
            f"Measured {results['date']} at commit {results['commit']} with "
            f"`python -m bench --events {results['events']}` on {machine['cpu']}, "
            f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['kernel']}, "
            f"Python {machine['python']}; load before it began: {machine['load_before']}."
        )
    ]
    for sheet in sheets(results):
        lines += ["", f"**{sheet.title}**", "", f"| {' | '.join(sheet.head)} |"]
        lines.append("|---|" + "---:|" * (len(sheet.head) - 1))
        lines += [f"| {' | '.join(row)} |" for row in sheet.rows]
    return "\n".join([*lines, "", f"Packages: {packages}.", ""])


def render(page: Path, results: Results) -> None:
    """Rewrites what is between the two markers of a page.

    Raises:
        ValueError: the page does not have them.
    """
    before, found, rest = page.read_text().partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"{page} has no {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{markdown(results)}{END}{after}")
