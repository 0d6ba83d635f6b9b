"""`drain` and `reconcile`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.reconcile import Report

_DIFFERS = 1
_NOT_DRAINED = 3
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(drain)
    app.command()(reconcile)


def drain(
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which it gives up.")
    ] = None,
) -> None:
    """Wait until every event of views.raw is in ClickHouse and in the ledger."""
    from pipeline.cli.progress import events_bar
    from pipeline.drain import DrainError
    from pipeline.drain import drain as wait

    with events_bar() as bar:
        task = bar.add_task("draining", total=None)
        try:
            wait(
                settings(),
                timeout,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        except DrainError as error:
            raise Problem(str(error)) from None
    typer.echo("Drained: every event is in ClickHouse and in the ledger.")


def reconcile(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare ClickHouse, the ledger and views.raw, to the event and to the micro.

    Ends with 0 only when everything agrees, with 1 on differences, with 3 when it is not drained.
    """
    import msgspec

    from pipeline.offsets import topic_ranges
    from schemas.topics import RAW
    from sinks import clickhouse, postgres
    from sinks.reconcile import reconcile as compare

    now = settings()
    with service_problems():
        ranges = topic_ranges(now, RAW)
        client = clickhouse.connect(now.url("clickhouse"))
        with postgres.connect(now, "viewledger-reconcile") as conn:
            report = compare(client, conn, ranges, now.accept_window_hours * 3_600_000)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        show(report)
    if not report.ok:
        raise typer.Exit(_NOT_DRAINED if report.state == "not_drained" else _DIFFERS)


def show(report: "Report") -> None:
    """The report, for people."""
    from msgspec.structs import astuple
    from rich.console import Console
    from rich.table import Table

    from schemas.money import format_micros

    console, totals = Console(), report.totals
    table = Table("events", "count", show_header=False, box=None, pad_edge=False)
    table.columns[1].justify = "right"
    table.add_row("events in views.raw", f"{totals.read:,}")
    table.add_row("accepted", f"{totals.accepted:,}")
    for verdict, views in totals.verdicts.items():
        table.add_row(f"  {verdict}", f"{views:,}")
    table.add_row("duplicates", f"{totals.duplicates:,}")
    table.add_row("rejected", f"{totals.rejected:,}")
    for reason, events in totals.rejected_by_reason.items():
        table.add_row(f"  {reason}", f"{events:,}")
    table.add_row("valid views paid", f"{totals.accrued_views:,}")
    table.add_row("valid views beyond the budget", f"{totals.capped_views:,}")
    for currency, money in totals.money.items():
        table.add_row("valid views x rate", format_micros(money.valid_micros, currency))
        table.add_row("  accrued to promoters", format_micros(money.accrued_micros, currency))
        table.add_row("  beyond the budget", format_micros(money.capped_micros, currency))
    console.print(table)
    for reason in report.pending:
        console.print(f"Not drained: {reason}", highlight=False)
    if report.pending:
        console.print("Nothing was compared. Run `viewledger drain` first.")
        return
    if report.ok:
        console.print("Everything agrees: reconciled to zero.", style="green")
        return
    differences = Table("check", "where", "expected", "found", title="Differences")
    for difference in report.differences[:_SHOWN]:
        differences.add_row(*astuple(difference))
    console.print(differences)
    more = len(report.differences) - _SHOWN
    console.print(
        f"{len(report.differences)} differences"
        + (f", {more} not shown: see --json." if more > 0 else ".")
    )
