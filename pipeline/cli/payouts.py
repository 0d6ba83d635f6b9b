"""`payouts`: from what is payable to a bank file, and back with the bank's answer."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.payouts_trace import trace
from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.payouts.answers import Noted
    from sinks.payouts.batch import Batch
    from sinks.postgres import Connection

Actor = Annotated[str, typer.Option("--actor", help="Who does this.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BatchId = Annotated[int, typer.Argument(metavar="BATCH", min=1, max=2**62, show_default=False)]

_SHOWN = 5

payouts = typer.Typer(help="Pay what promoters earned, by bank file.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    payouts.command()(trace)
    app.add_typer(payouts, name="payouts")


@payouts.command()
def draft(
    currency: Annotated[str, typer.Option(help="Such as EUR.", show_default=False)],
    actor: Actor,
    until: Annotated[
        datetime | None,
        typer.Option(help="What became payable later is left out; UTC. Default: now."),
    ] = None,
    minimum: Annotated[
        str, typer.Option("--min", help="Least amount that is paid, such as 25.00.")
    ] = "0",
    key: Annotated[
        str | None, typer.Option(help="The same key again gives the same batch.")
    ] = None,
) -> None:
    """Draft a batch: what is payable leaves the payable accounts; the rest stays, with why."""
    from schemas.money import exponent, format_micros, parse_amount, parse_currency
    from sinks.payouts.draft import draft as make

    try:
        code, least = parse_currency(currency), parse_amount(minimum)
        exponent(code)  # refuses what nothing can be paid in
    except ValueError as error:
        raise Problem(str(error)) from None
    moment = until if until is None or until.tzinfo else until.replace(tzinfo=UTC)
    with _books() as conn:
        drafted = make(conn, code, moment, least, actor=actor, key=key or str(uuid.uuid4()))
    for why in dict.fromkeys(one.why for one in drafted.left):
        of = [one for one in drafted.left if one.why == why]
        total = format_micros(sum(one.micros for one in of), code)
        names = ", ".join(one.promoter_id for one in of[:_SHOWN])
        more = f" and {len(of) - _SHOWN:,} more" if len(of) > _SHOWN else ""
        typer.echo(f"Left payable, {why}: {len(of):,} promoters, {total} ({names}{more}).")
    if drafted.batch is None:
        typer.echo(f"Nothing in {code} is to be paid; no batch was made.")
        return
    _say(drafted.batch)


@payouts.command("list")
def list_all() -> None:
    """Show all batches, newest first."""
    from schemas.money import format_micros
    from sinks.payouts.batch import list_batches

    with _books() as conn:
        rows = list_batches(conn)
    typer.echo(f"{'batch':>6} {'status':<10} {'lines':>7} {'total':>26}  drafted by")
    for batch_id, currency, status, drafted_by, lines, micros in rows:
        total = format_micros(micros, currency)
        typer.echo(f"{batch_id:>6} {status:<10} {lines:>7,} {total:>26}  {drafted_by}")


@payouts.command()
def show(batch: BatchId, as_json: AsJson = False) -> None:
    """Show a batch with its lines; accounts are masked."""
    import msgspec

    from schemas.money import format_micros, format_minor
    from sinks.payees import list_payees
    from sinks.payouts.batch import load_batch

    with _books() as conn:
        found = load_batch(conn, batch)
        payees = {
            payee.promoter_id: payee
            for payee in list_payees(conn, [line.promoter_id for line in found.lines])
        }
    if as_json:
        shown = found._asdict() | {
            "chain_head": found.chain_head.hex() if found.chain_head else None,
            "lines": [line._asdict() for line in found.lines],
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    _say(found)
    for line in found.lines:
        amount = format_minor(line.amount_minor, found.currency)
        payee = payees[line.promoter_id]
        notes = [line.code, line.reason]
        if line.netted_micros:
            kept = format_micros(-line.netted_micros, found.currency)
            notes.append(f"{kept} netted for corrections")
        if line.withheld_micros:
            notes.append(f"{format_micros(line.withheld_micros, found.currency)} withheld for tax")
        said = ", ".join(note for note in notes if note)
        typer.echo(
            f"{line.line_id:>8} {line.status:<10} {amount:>20}  {line.promoter_id}: "
            f"{payee.legal_name}, {payee.masked}" + (f" ({said})" if said else "")
        )


@payouts.command()
def approve(batch: BatchId, actor: Actor) -> None:
    """Approve a draft that somebody else made: amounts and payees are frozen."""
    from sinks.payouts.approve import approve as sign

    with _books() as conn:
        _say(sign(conn, batch, actor=actor))


@payouts.command()
def cancel(
    batch: BatchId,
    actor: Actor,
    line: Annotated[int | None, typer.Option(help="Only this line.", min=1)] = None,
    reason: Annotated[str, typer.Option(help="Kept with the line.")] = "",
) -> None:
    """Cancel a batch, or a line of it, before it is exported: its money is payable again."""
    from sinks.payouts.approve import cancel as stop

    with _books() as conn:
        _say(stop(conn, batch, line, actor=actor, reason=reason))


@payouts.command()
def export(
    batch: BatchId,
    actor: Actor,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="pain.001.001.09, pain.001.001.03, nacha, nacha-unbalanced, paypal or csv.",
        ),
    ] = "pain.001.001.09",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
    payer: Annotated[
        Path | None, typer.Option(help="JSON file: who pays. Default: VIEWLEDGER_PAYER.")
    ] = None,
    date_: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="When to pay. Default: today, UTC."),
    ] = None,
) -> None:
    """Write the bank file of an approved batch. Again, it writes the very same bytes."""
    from pipeline.embedded.kept import write_private
    from sinks.payouts.batch import load_batch
    from sinks.payouts.export import export as make
    from sinks.payouts.payer import load_payer
    from sinks.sealing import payee_keys

    now = settings()
    day: date = date_.date() if date_ else datetime.now(UTC).date()
    with _books() as conn:
        who = load_payer(payer or now.payer, load_batch(conn, batch).currency)
        files = make(conn, payee_keys(now), who, batch, file_format, day, actor=actor)
    for file in files:
        path = out / file.name
        try:
            out.mkdir(parents=True, exist_ok=True)
            # Bank details are in it; and half of a CSV would look like a whole one.
            write_private(path, file.content)
        except OSError as error:
            raise Problem(f"{path}: {error.strerror}; export again, to another folder") from None
        typer.echo(f"{path}: {len(file.content):,} bytes, SHA-256 {file.sha256}")


@payouts.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="pain.002, camt.053 or NACHA returns.")],
    actor: Actor,
) -> None:
    """Take in what the bank answered. The same file again changes nothing."""
    from sinks.bank_answers.bank_file import AnswerError
    from sinks.payouts.answers import import_answers

    try:
        content = file.read_bytes()
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
    try:
        with _books() as conn:
            done = import_answers(conn, file.name, content, actor=actor)
    except AnswerError as error:
        raise Problem(f"{file}: {error}") from None
    if done.already:
        typer.echo(f"{file} ({done.kind}) was imported before: nothing was changed.")
        return
    counts: dict[str, int] = {}
    for one in done.noted:
        if one.applied:
            counts[one.answer.outcome] = counts.get(one.answer.outcome, 0) + 1
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    typer.echo(f"{file} ({done.kind}): {said or 'no line changed'}; {done.unrelated:,} unrelated.")
    for one in done.noted:
        if one.note or one.answer.outcome == "pending":
            typer.echo(_puzzle(one))


@payouts.command()
def mark(
    line: Annotated[int, typer.Argument(metavar="LINE", min=1, max=10**13, show_default=False)],
    outcome: Annotated[str, typer.Argument(help="settled, failed or returned.")],
    actor: Actor,
    reason: Annotated[str, typer.Option(help="Kept with the line.")] = "",
) -> None:
    """Say what the bank said on paper about one line."""
    from schemas.payout import Answer
    from sinks.payouts.answers import mark as note

    if outcome not in ("settled", "failed", "returned"):
        raise Problem(f"outcome is {outcome!r}; it must be settled, failed or returned")
    answer = Answer(reference=f"VL{line}", outcome=outcome, text=reason)  # type: ignore[arg-type]
    with _books() as conn:
        done = note(conn, line, answer, actor=actor)
    typer.echo(f"Line {line} is {outcome}." if done.applied else f"Line {line} was {outcome}.")


@payouts.command()
def puzzles() -> None:
    """Show the bank's answers that nothing could be made of: a person has to look."""
    from sinks.payouts.answers import load_puzzles

    with _books() as conn:
        found = load_puzzles(conn)
    for name, one in found:
        typer.echo(f"{name}: {_puzzle(one)}")
    typer.echo(f"{len(found):,} answers need a person.")


def _puzzle(one: "Noted") -> str:
    from schemas.money import format_minor

    answer = one.answer
    amount = ""
    if answer.amount_minor is not None and answer.currency:
        amount = f" {format_minor(answer.amount_minor, answer.currency)}"
    words = " ".join(word for word in (answer.code, answer.text) if word)
    return f"{answer.reference}{amount}: {answer.outcome} {words} ({one.note or 'no change'})"


def _say(batch: "Batch") -> None:
    from schemas.money import format_micros

    lines = sum(line.status != "cancelled" for line in batch.lines)
    signed = f", approved by {batch.approved_by}" if batch.approved_by else ""
    sent = f", exported as {batch.format} by {batch.exported_by}" if batch.exported_by else ""
    typer.echo(
        f"Batch {batch.batch_id} is {batch.status}: {lines:,} lines, "
        f"{format_micros(batch.total_micros, batch.currency)}, drafted by {batch.drafted_by}"
        f"{signed}{sent}."
    )


@contextmanager
def _books() -> "Iterator[Connection]":
    from sinks.payees import PayeeError
    from sinks.payouts.batch import PayoutError
    from sinks.postgres import connect
    from sinks.sealing import SealError

    try:
        with service_problems(), connect(settings(), "viewledger-payouts") as conn:
            yield conn
    except (PayoutError, PayeeError, SealError) as error:
        raise Problem(str(error)) from None
    except UnicodeEncodeError as error:
        raise Problem(f"{error.object!r} is not UTF-8") from None
