"""`ledger statement`: one promoter, one period."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.statement import Statement


class Format(StrEnum):
    """How a statement is written."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"


def statement(
    promoter: Annotated[str, typer.Argument(metavar="PROMOTER", show_default=False)],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ISO", help="Begin, UTC if it says nothing. Default: of this month."
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="ISO", help="End, not in the period. Default: now.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    out: Annotated[
        Path | None, typer.Option(help="File to write; it is overwritten. Default: the terminal.")
    ] = None,
) -> None:
    """Show what a promoter had, earned, was paid and was not paid, and has.

    The ledger by when it was booked, views by when they came in. Amounts are exact; JSON has
    them in micros, a millionth of the currency.
    """
    from sinks import clickhouse, postgres
    from sinks.statement import StatementError
    from sinks.statement import statement as make

    now = datetime.now(UTC)
    begin = _moment("--from", from_) or datetime(now.year, now.month, 1, tzinfo=UTC)
    end = _moment("--to", to) or now
    if format_ is Format.PDF and out is None:
        raise Problem("a PDF is nothing for a terminal: give --out FILE")
    try:
        with service_problems(), postgres.connect(settings(), "viewledger-statement") as conn:
            client = clickhouse.connect(settings().url("clickhouse"))
            found = make(conn, client, promoter, begin, end)
    except StatementError as error:
        raise Problem(str(error)) from None
    content = _write(found, format_)
    if out is None:
        typer.echo(content, nl=False)
        return
    try:
        # What somebody earns is nobody else's business.
        out.touch(mode=0o600)
        out.write_bytes(content)
    except OSError as error:
        raise Problem(f"{out}: {error.strerror}") from None
    typer.echo(f"{out}: {len(content):,} bytes")


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(
            f"{option} is {text!r}; it must be a date or a time such as 2026-11-01 or "
            "2026-11-01T12:00:00Z"
        ) from None


def _write(found: "Statement", format_: Format) -> bytes:
    if format_ is Format.JSON:
        import msgspec

        return msgspec.json.format(msgspec.json.encode(found)) + b"\n"
    if format_ is Format.PDF:
        from sinks.statement_pdf import as_pdf

        return as_pdf(found)
    from sinks.statement_text import as_csv, as_text

    return (as_csv if format_ is Format.CSV else as_text)(found).encode()
