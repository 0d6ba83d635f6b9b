"""`drain` and `reconcile`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from rich.table import Table

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
    """Compare views, the ledger, bank files and the bank's answers, to the event and to the micro.

    Ends with 0 only when everything agrees, with 1 on differences, with 3 when it is not drained.
    """
    import msgspec

    from pipeline.offsets import topic_ranges
    from schemas.seal_keys import parse_keys
    from schemas.topics import RAW
    from sinks import clickhouse, postgres
    from sinks.reconcile import reconcile as compare

    now = settings()
    keys = parse_keys(now.payee_keys.get_secret_value()) if now.payee_keys else None
    with service_problems():
        ranges = topic_ranges(now, RAW)
        client = clickhouse.connect(now.url("clickhouse"))
        with postgres.connect(now, "viewledger-reconcile") as conn:
            window_ms = now.accept_window_hours * 3_600_000
            report = compare(client, conn, ranges, window_ms, keys)
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
        table.add_row("  accrued", format_micros(money.accrued_micros, currency))
        table.add_row("  beyond the budget", format_micros(money.capped_micros, currency))
    console.print(table)
    console.print(_books(report))
    unread = report.files.files - report.files.read
    if unread:
        console.print(
            f"{unread:,} of {report.files.files:,} bank files were not read: "
            "their keys are not in VIEWLEDGER_PAYEE_KEYS, or they do not open.",
            highlight=False,
        )
    for reason in report.pending:
        console.print(f"Not drained: {reason}", highlight=False)
    if report.pending:
        console.print("Nothing was compared.")
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


def _books(report: "Report") -> "Table":
    """Where the money is, and what the bank has to do with it."""
    from rich.table import Table

    from schemas.money import format_micros

    table = Table("what", "amount", "count", show_header=False, box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for currency, books in report.books.items():
        for name, micros in (
            ("accrued, of it", books.accrued_micros),
            ("  corrected", books.corrected_micros),
            ("  pending", books.pending_micros),
            ("  payable", books.payable_micros),
            ("  debts of promoters", books.debt_micros),
            ("  on the way to the bank", books.clearing_micros),
            ("  paid by the bank", books.bank_micros),
            ("  tax withheld", books.tax_micros),
            ("  platform fee", books.fee_micros),
        ):
            table.add_row(name, format_micros(micros, currency))
        payouts = report.payouts.get(currency)
        if payouts is None:
            continue
        for name, micros, lines in (
            ("payout lines exported", payouts.micros, payouts.lines),
            ("  settled", payouts.settled_micros, payouts.settled_lines),
            (
                "  failed or returned",
                payouts.back_micros,
                payouts.failed_lines + payouts.returned_lines,
            ),
            ("  not answered", payouts.waiting_micros, payouts.waiting_lines),
        ):
            table.add_row(name, format_micros(micros, currency), f"{lines:,}")
        table.add_row("  answers of the bank", "", f"{payouts.by_bank:,}")
        table.add_row("  answers noted by hand", "", f"{payouts.by_hand:,}")
        if currency in report.files.micros:
            table.add_row(
                "in the bank files", format_micros(report.files.micros[currency], currency)
            )
    if report.files.files:
        table.add_row("bank files stored", "", f"{report.files.files:,}")
    if report.files.read:
        table.add_row("  transfers in them", "", f"{report.files.transfers:,}")
    return table
