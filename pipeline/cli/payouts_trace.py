"""`payouts trace`: from a payout line to event ids, and from an event id to the payout line."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sinks.trace import Trace
    from sinks.trace_event import EventTrace

_DIFFERS = 1


def trace(
    line: Annotated[
        int | None, typer.Argument(metavar="[LINE]", min=1, max=10**13, show_default=False)
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="The other way: from this event id.", show_default=False)
    ] = None,
    events: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Event ids to show of each accrual.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; amounts in micros.")] = False,
) -> None:
    """Follow the money of a payout line down to its views, or a view up to its payout.

    Every step must sum to the next one, to the micro: ends with 1 where one does not.
    """
    import msgspec

    from sinks import clickhouse, postgres
    from sinks.payouts.batch import PayoutError
    from sinks.trace import trace as follow
    from sinks.trace_event import trace_event

    if (line is None) == (event is None):
        raise Problem("give a payout line (its number, without VL) or --event EVENT_ID")
    found: Trace | list[EventTrace]
    try:
        with service_problems(), postgres.connect(settings(), "viewledger-trace") as conn:
            client = clickhouse.connect(settings().url("clickhouse"))
            if line is not None:
                found = follow(conn, client, line, events)
            else:
                found = trace_event(conn, client, event or "")
    except PayoutError as error:
        raise Problem(str(error)) from None
    if isinstance(found, list):
        if not found:
            raise Problem(f"there is no event {event!r} in ClickHouse")
        problems = [one.problem for one in found if one.problem]
    else:
        problems = found.problems
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif isinstance(found, list):
        for one in found:
            _say_event(one)
    else:
        _say_line(found, "")
    if problems:
        if not as_json:
            for problem in problems:
                typer.echo(f"WRONG {problem}")
        raise typer.Exit(_DIFFERS)
    if not as_json and line is not None:
        typer.echo("Everything sums up, to the micro.")


def _say_line(found: "Trace", margin: str) -> None:
    from schemas.money import format_micros
    from sinks.statement_tables import amount, utc

    line = found.line
    gross, net = (format_micros(m, line.currency) for m in (line.gross_micros, line.amount_micros))
    withheld = f", {amount(line.withheld_micros)} withheld for tax" if line.withheld_micros else ""
    said = " ".join(filter(None, [line.status, line.code, line.reason]))
    echo = _indented(margin)
    echo(f"Line {line.line_id} (VL{line.line_id}) of batch {line.batch_id}: {said}")
    echo(f"  {line.promoter_id} gets {net} of {gross}{withheld}")
    echo(f"  drafted {utc(line.drafted_at)}, journal {line.journal_id}")
    for file in found.files:
        echo(f"  file {file.name}, SHA-256 {file.sha256}")
    for answer in found.answers:
        note = "" if answer.applied else " (changed nothing)"
        words = " ".join(filter(None, [answer.outcome, answer.code, answer.reason]))
        echo(f"  bank: {words} in {answer.file}{note}")
    echo("  What was payable:")
    for part in found.parts:
        journal = f"journal {part.journal_id}, {utc(part.at)}: " if part.journal_id else ""
        echo(f"  {amount(part.micros):>20}  {part.what}: {journal}{part.said}")
        if part.what == "settlement":
            _say_accruals(found, part.journal_id, margin)
        for other in found.given_back:
            if part.what == "given back" and other.line.line_id == part.line_id:
                _say_line(other, margin + " " * 24)
    echo(f"  {amount(line.gross_micros + found.stays_micros):>20}  in all")
    echo(f"  {amount(-line.gross_micros):>20}  this line")
    echo(f"  {amount(found.stays_micros):>20}  stayed payable")


def _say_accruals(found: "Trace", settlement_id: int | None, margin: str) -> None:
    from sinks.statement_tables import amount

    echo = _indented(margin + " " * 24)
    for one in found.accruals:
        if one.settlement_id != settlement_id:
            continue
        less = f" - fee {amount(one.fee_micros)}" if one.fee_micros else ""
        if one.corrected_views:
            less += f" - {one.corrected_views:,} corrected views {amount(one.corrected_micros)}"
        echo(
            f"{amount(one.net_micros)}  accrual {one.accrual_id} (journal {one.journal_id}): "
            f"{one.views:,} views x {amount(one.rate_micros)}{less}"
        )
        capped = f" and {one.capped_views:,} beyond the budget" if one.capped_views else ""
        echo(
            f"    {one.campaign_id}, {one.log_hour:%Y-%m-%d %H}h, views.scored {one.partition} "
            f"[{one.scored_from}, {one.scored_next}): {one.views:,} paid{capped}, "
            f"{one.found_views:,} in ClickHouse"
        )
        for event in one.events:
            echo(
                f"    event {event.event_id}  raw offset {event.raw_offset}, block "
                f"{event.scored_offset}, model {event.model_version}, policy {event.policy_version}"
            )


def _say_event(found: "EventTrace") -> None:
    from sinks.statement_tables import amount, utc

    event, accrual = found.event, found.accrual
    reasons = f" ({', '.join(event.reasons)})" if event.reasons else ""
    typer.echo(f"Event {event.event_id}: {event.verdict}{reasons}")
    typer.echo(
        f"  views.raw {event.partition}/{event.raw_offset}, {utc(event.log_time)}; block "
        f"{event.scored_offset} of views.scored {event.partition}"
    )
    typer.echo(f"  campaign {event.campaign_id}, promoter {event.promoter_id}")
    if event.model_version:
        typer.echo(
            f"  model {event.model_version}, policy {event.policy_version}, "
            f"lists {event.lists_version}; {amount(event.rate_micros)} {event.currency} if valid"
        )
    verdict = event.verdict
    for one in found.corrections:
        typer.echo(
            f"  {one.why} {utc(one.corrected_at)}, by {one.actor}: {one.was} became {one.became}"
            f" ({', '.join([*one.reasons, one.note])}), {amount(one.paid_micros)} paid more"
        )
        verdict = one.became
    if verdict != "valid":
        typer.echo("  Not paid." if event.verdict != "valid" else "  Not paid any more.")
        return
    if accrual is None:
        typer.echo("  Not booked." if found.problem else "  Not booked yet.")
        return
    typer.echo(
        f"  accrual {accrual.accrual_id}: {accrual.views:,} views paid, {accrual.capped_views:,} "
        f"beyond the budget, {accrual.corrected_views:,} taken back"
    )
    if accrual.settled_at is None:
        typer.echo("  In hold." if accrual.views else "  Not paid: beyond the budget.")
        return
    typer.echo(f"  settled {utc(accrual.settled_at)}, journal {accrual.settlement_id}")
    for paid in found.paid:
        line = paid.line
        words = " ".join(filter(None, [line.status, line.code, line.reason]))
        typer.echo(f"  line {line.line_id} of batch {line.batch_id}: {words}")
        for answer in paid.answers:
            typer.echo(f"    bank: {answer.outcome} {answer.code} in {answer.file}")
    if not found.paid or found.paid[-1].line.status in ("failed", "returned", "cancelled"):
        typer.echo("  Payable, and in no batch that pays it.")


def _indented(margin: str) -> "Callable[[str], None]":
    return lambda text: typer.echo(margin + text)
