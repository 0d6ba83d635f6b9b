"""`viewledger replay`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem

if TYPE_CHECKING:
    from pipeline.replay.post import Door
    from pipeline.replay.replay import Summary


class AdapterName(StrEnum):
    """The kinds of files; the keys of `pipeline.replay.adapters.ADAPTERS`."""

    VIEW = "view"
    TALKINGDATA = "talkingdata"
    WIKIPEDIA = "wikipedia"


class Via(StrEnum):
    """The way in."""

    KAFKA = "kafka"
    HTTP = "http"


def replay(
    file: Annotated[Path, typer.Argument(help="Plain or gzipped.", show_default=False)],
    adapter: Annotated[AdapterName, typer.Option(help="What the file holds.")] = AdapterName.VIEW,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, help="Events per second.", show_default="as fast as possible"),
    ] = None,
    create_campaigns: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**9,
            metavar="RATE_MICROS",
            help="Create the campaigns and promoters of the file that do not exist yet, at this "
            "rate (micros of EUR per view).",
        ),
    ] = None,
    via: Annotated[
        Via, typer.Option(help="Straight into Kafka, or through the collector by the Python SDK.")
    ] = Via.KAFKA,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Of --via http.", show_default="the collector of the data folder"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="VIEWLEDGER_KEY",
            help="Of --via http: a secret key, of `viewledger keys create --secret`.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Send the events of a file through the pipeline, moved in time so that they end now.

    The move of a file is remembered: replaying it again adds nothing.
    """
    from pipeline.cli.progress import events_bar
    from pipeline.replay.replay import replay_file
    from schemas.settings import settings

    with events_bar() as bars:
        summary = replay_file(
            settings(),
            file,
            adapter.value,
            rate=rate,
            create_campaigns=create_campaigns,
            progress=bars,
            door=_door(endpoint, key) if via is Via.HTTP else None,
        )
    _show(summary)
    if summary.failed:
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in summary.failed.items())
        raise Problem(
            f"{summary.failed.total():,} events were not delivered: {reasons}. "
            "Replay the file again: what was delivered already counts once."
        )
    if summary.interrupted:
        typer.echo("interrupted: replay the file again to send the rest", err=True)
        raise typer.Exit(130)


def _door(endpoint: str | None, key: str | None) -> "Door":
    from pipeline.collector.endpoint import collector_url
    from pipeline.replay.post import Door
    from schemas.settings import settings

    if not key:
        raise Problem(
            "--via http needs a secret key: `viewledger keys create --secret --name replay` "
            "prints one, for --key or VIEWLEDGER_KEY"
        )
    return Door(endpoint or collector_url(settings()), key)


def _show(summary: "Summary") -> None:
    from datetime import timedelta

    from rich.console import Console
    from rich.table import Table

    seconds = max(summary.seconds, 1e-9)
    sign = "later" if summary.shift_ms >= 0 else "earlier"
    again = ", as in its first replay" if summary.repeated else ""
    table = Table(show_header=False, box=None)
    table.add_row("adapter", summary.adapter)
    table.add_row("events read", f"{summary.read:,}")
    table.add_row("events sent", f"{summary.sent:,}")
    for reason, count in summary.rejected.most_common():
        table.add_row("rejected", f"{count:,} × {reason}")
    table.add_row("moved by", f"{timedelta(seconds=abs(summary.shift_ms) // 1000)} {sign}{again}")
    table.add_row("time", f"{seconds:,.1f} s, {summary.read / seconds:,.0f} events per second")
    Console().print(table)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(replay)
