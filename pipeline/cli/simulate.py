"""`viewledger simulate`."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.problems import Problem

_MOST_EVENTS = 50_000_000


def simulate(
    events: Annotated[
        int, typer.Option(min=1, max=_MOST_EVENTS, help="Lines to write, retries included.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")],
    out: Annotated[Path, typer.Option(help="Where to, as NDJSON; gzipped if it ends in .gz.")],
    labels: Annotated[
        Path | None, typer.Option(help="Who made each line (CSV): human, or a kind of bot.")
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="The campaigns and promoters of the traffic, as JSON lines; "
            "`campaigns import` and `promoters import` each take theirs."
        ),
    ] = None,
    payees: Annotated[
        Path | None,
        typer.Option(help="Bank accounts of nobody for the promoters; needs --catalog."),
    ] = None,
) -> None:
    """Make realistic labelled traffic: people, bots, retries, and broken events.

    At most 18 hours of traffic from a fixed day; `replay` moves it to now.
    """
    from pipeline.cli.progress import events_bar
    from pipeline.simulate.payees import write_payees
    from pipeline.simulate.simulate import simulate as run

    paths = [path.resolve() for path in (out, labels, catalog, payees) if path]
    if len(set(paths)) < len(paths):
        raise Problem("--out, --labels, --catalog and --payees must be different files")
    if payees and not catalog:
        raise Problem("--payees is about the promoters of --catalog: give that as well")
    started = time.monotonic()
    with events_bar() as bar:
        task = bar.add_task("simulating", total=events)
        try:
            run(events, seed, out, labels, catalog, lambda done: bar.advance(task, done))
            if payees and catalog:
                write_payees(catalog, payees)
        except OSError as error:
            name = str(error.filename or out).removesuffix(".part")
            raise Problem(f"cannot write {name}: {error.strerror}") from None
    seconds = time.monotonic() - started
    typer.echo(f"{events:,} events in {out} ({events / seconds:,.0f} per second)")
    if labels:
        typer.echo(f"who made them: {labels}")
    if catalog:
        typer.echo(f"viewledger campaigns import {shlex.quote(str(catalog))}")
        typer.echo(f"viewledger promoters import {shlex.quote(str(catalog))}")
    if payees:
        typer.echo(f"viewledger payees import {shlex.quote(str(payees))} --actor YOU")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(simulate)
