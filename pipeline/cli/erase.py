"""`erase`: a viewer out of every store."""

import getpass
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from pipeline.erase.report import Report

_PENDING = 3


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(erase)


def erase(
    viewer: Annotated[str | None, typer.Option("--viewer", help="viewer_id as sent.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is pending in ClickHouse.")
    ] = False,
    logs: Annotated[
        bool,
        typer.Option("--logs", help="Write Kafka's topics anew; workers must be stopped."),
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who does this; you by default.")] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for events that are on their way.")
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Take a viewer out of every store: views stay counted and paid, but nobody's.

    Ends with 0 when complete, with 3 while something is pending: the report says what. May be
    repeated, and killed at any time.
    """
    import msgspec

    from pipeline.cli.progress import events_bar
    from pipeline.erase.logs import BusyError, rewrite_logs
    from pipeline.erase.messages import CopyError
    from pipeline.erase.report import report
    from pipeline.erase.viewer import RunningError, erase_stored, only_one, sweep
    from sinks import erasures
    from sinks.erase_views import EraseError

    if [viewer is not None, resume, logs].count(True) != 1:
        raise Problem("say one of --viewer ID, --resume and --logs")
    if viewer is not None:
        _check(viewer)
    now, who = settings(), by or _me()
    with service_problems(), events_bar() as bar:
        task = bar.add_task("erasing", total=None)
        try:
            with only_one(now) as conn:
                before = [one.erasure_id for one in erasures.load_erasures(conn)]
                asked: dict[int, str] = {}
                if viewer is not None:
                    asked = {erasures.request(conn, viewer, who): viewer}
                if logs:
                    rewrite_logs(
                        now, conn, who, lambda w, n: bar.update(task, description=w, completed=n)
                    )
                pending = erase_stored(
                    now, conn, wait, asked, lambda what: bar.update(task, description=what)
                )
                if logs:
                    sweep(now, conn)
                found = [
                    report(now, one, pending)
                    for known in (asked or before)
                    for one in erasures.load_erasures(conn, known)
                ]
        except (RunningError, BusyError, CopyError, EraseError) as error:
            raise Problem(str(error)) from None
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for one in found:
            show_report(one)
        if not found:
            typer.echo("No erasure is pending.")
    if any(one.state == "pending" for one in found):
        raise typer.Exit(_PENDING)


def show_report(one: "Report") -> None:
    """The report, for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table("store", "found", "done", "gone at the latest", box=None, pad_edge=False)
    for place in one.places:
        gone = "" if place.ages_out is None else f"{place.ages_out:%Y-%m-%d %H:%M} UTC"
        table.add_row(place.store, place.found, place.done, gone)
    console.print(
        f"Erasure {one.erasure_id}, requested {one.requested_at:%Y-%m-%d %H:%M:%S} UTC by "
        f"{one.requested_by}: {one.state}.",
        markup=False,
    )
    console.print(table)
    for what in one.pending:
        console.print(f"Pending: {what}.", markup=False)


def _check(viewer: str) -> None:
    if not 8 <= len(viewer) <= 64:
        raise Problem(
            f"a viewer id has 8 to 64 characters, this one has {len(viewer)}: take it from the "
            "field viewer_id of an event"
        )


def _me() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return f"uid {os.getuid()}"
