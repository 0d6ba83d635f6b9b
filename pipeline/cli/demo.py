"""`viewledger demo`: the whole road, with a summary that a newcomer understands."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import Settings, settings

if TYPE_CHECKING:
    from collections import Counter

    from pipeline.demo import Caught, Earned
    from pipeline.demo_door import Seen

_SEED = 7
_FEE_BP = 1000
_TIMEOUT_S = 600.0
_EARNERS = 10
_WIDTH = 110


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    events: Annotated[int, typer.Option(min=1000, help="How many events to simulate.")] = 200_000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running, to look around.")
    ] = False,
) -> None:
    """Start everything, count simulated traffic, pay for it, reconcile, and say what happened."""
    from pipeline.cli.services import bring_up
    from pipeline.embedded.stack import stop

    now = settings()
    if now.data.exists() and any(now.data.iterdir()):
        raise Problem(
            f"{now.data} holds data already, and the demo starts from nothing: "
            f"`viewledger down` and remove the folder, or set VIEWLEDGER_DATA to a new one"
        )
    agrees = False
    try:
        bring_up(now, typer.echo)
        agrees = _run(now, events, now.data / "demo")
    finally:
        if not keep:
            stop(now)
            shutil.rmtree(now.data, ignore_errors=True)
    if keep:
        typer.echo(
            "It is still running: try `viewledger status`, `viewledger rejected list`,\n"
            '`viewledger query "SELECT * FROM views LIMIT 3"`, and end it by `viewledger down`.'
        )
    else:
        typer.echo("Stopped, and its data removed (`viewledger demo --keep` leaves it running).")
    if not agrees:
        raise typer.Exit(1)


def _run(now: Settings, events: int, folder: Path) -> bool:
    from pipeline.cli.demo_finance import check, keys_of, pay, show_statement
    from pipeline.cli.progress import events_bar
    from pipeline.cli.reconcile import show
    from pipeline.collector.endpoint import collector_url
    from pipeline.demo import judged_by_kind, top_earners
    from pipeline.demo_door import make_key, show_page
    from pipeline.drain import drain
    from pipeline.offsets import topic_ranges
    from pipeline.replay.post import Door
    from pipeline.replay.replay import replay_file
    from pipeline.simulate.simulate import simulate
    from schemas.topics import RAW
    from sinks import clickhouse, postgres
    from sinks.catalogue import import_promoters, save_campaigns
    from sinks.catalogue_file import read_campaigns, read_promoters
    from sinks.reconcile import reconcile

    folder.mkdir(parents=True)
    traffic, labels = folder / "traffic.ndjson.gz", folder / "labels.csv.gz"
    catalogue = folder / "catalogue.jsonl"
    with events_bar() as bar, service_problems():
        door = Door(collector_url(now), make_key(now, "secret"))
        typer.echo(f"Simulating {events:,} events of people and bots …")
        task = bar.add_task("simulating", total=events)
        simulate(events, _SEED, traffic, labels, catalogue, lambda done: bar.advance(task, done))
        bar.remove_task(task)
        with postgres.connect(now) as connection:
            paid_at_once = [
                replace(campaign, hold_hours=0, fee_bp=_FEE_BP)
                for campaign in read_campaigns(catalogue)
            ]
            campaigns = sum(save_campaigns(connection, paid_at_once)[:3])
            promoters = import_promoters(connection, catalogue)
        typer.echo(f"Imported {campaigns} campaigns and {promoters} promoters.")
        typer.echo(
            "Sending them to the collector by the Python SDK, and waiting for the last one …"
        )
        started = time.monotonic()
        sent = replay_file(now, traffic, progress=bar, door=door)
        if sent.failed:
            raise Problem(f"{sent.failed.total():,} events were not delivered: {dict(sent.failed)}")
        task = bar.add_task("draining", total=None)
        drain(now, _TIMEOUT_S, lambda done, all_: bar.update(task, completed=done, total=all_))
        seconds = time.monotonic() - started
        client = clickhouse.connect(now.url("clickhouse"))
        task = bar.add_task("a page in Chromium", total=None)
        page = show_page(now, client, read_campaigns(catalogue), read_promoters(catalogue))
        bar.remove_task(task)
        drain(now, _TIMEOUT_S)
        caught = judged_by_kind(client, labels)
    typer.echo(f"{events / seconds:,.0f} events per second, from the file to both databases.")
    _show_door(sent.sent, sent.rejected, page)
    _show_caught(caught)
    with service_problems(), postgres.connect(now) as connection:
        _show_earned(top_earners(connection, _EARNERS))
        keys = keys_of(now, folder)
        pay(connection, keys, catalogue, folder)
        sound = check(connection)
        show_statement(now, connection)
        window_ms = now.accept_window_hours * 3_600_000
        report = reconcile(client, connection, topic_ranges(now, RAW), window_ms, keys)
    typer.echo("")
    show(report)
    return report.ok and sound


def _show_door(accepted: int, rejected: "Counter[str]", page: "list[Seen] | str") -> None:
    typer.echo(f"At the door {accepted:,} were accepted, {rejected.total():,} rejected:")
    typer.echo("  " + ", ".join(f"{count} {reason}" for reason, count in rejected.most_common()))
    if isinstance(page, str):
        typer.echo(f"No page in a browser: {page}")
        return
    typer.echo("A page in Chromium, by the browser SDK:")
    for seen in page:
        typer.echo(
            f"  {seen.post_id}: watched {seen.watch_ms / 1000:.1f} s, {seen.visible_pct:.0f} % "
            f"visible; {seen.verdict} {' '.join(seen.reasons)}"
        )


def _show_caught(caught: "list[Caught]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="\nWho made the accepted views, and what became of them")
    table.add_column("kind")
    for name in ("views", "caught as bot", "not payable", "held", "paid", "paid share"):
        table.add_column(name, justify="right")
    for one in caught:
        counts = (one.views, one.invalid, one.unqualified, one.held, one.paid)
        table.add_row(one.kind, *(f"{n:,}" for n in counts), f"{one.paid / one.views:.1%}")
    Console(width=_WIDTH).print(table)


def _show_earned(earners: "list[Earned]") -> None:
    from rich.console import Console
    from rich.table import Table

    from schemas.money import format_micros

    table = Table(title=f"\nMoney: the {len(earners)} best-paid of all campaigns and promoters")
    for name in ("campaign", "promoter"):
        table.add_column(name)
    for name in ("paid views", "earned", "views beyond the budget"):
        table.add_column(name, justify="right")
    for one in earners:
        earned = format_micros(one.amount_micros, one.currency)
        counts = (f"{one.views:,}", earned, f"{one.capped_views:,}")
        table.add_row(one.campaign_id, one.promoter_id, *counts)
    Console(width=_WIDTH).print(table)
