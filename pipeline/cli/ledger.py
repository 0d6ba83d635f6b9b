"""`ledger` and `settle`: what is in the books, whether it is true, and what is due."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.ledger_statement import statement
from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.postgres import Connection

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SHOWN = 50

ledger = typer.Typer(help="The books: read, verify, correct.", no_args_is_help=True)
ledger.command()(statement)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(ledger, name="ledger")
    app.command()(settle)


@ledger.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(help="A hash noted before: it must be in the chain.", metavar="HEX"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read everything again: hash chain, sums, balances, orphaned rows. Ends with 1 if wrong."""
    import msgspec

    from sinks.ledger_audit import audit

    expected = _hash(head)
    with books() as conn:
        found = audit(conn, expected)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        typer.echo(f"Read {found.rows:,} sealed rows in {found.links:,} links.")
        typer.echo(f"Head of the chain: {found.head}")
        typer.echo(f"Not sealed yet: {found.unsealed:,} rows.")
        for row in found.wrong[:_SHOWN]:
            expects = f", expected {row.expected}" if row.expected else ""
            typer.echo(f"WRONG {row.where}: {row.check}: {row.found}{expects}")
        more = len(found.wrong) - _SHOWN
        if more > 0:
            typer.echo(f"… and {more} more: see --json")
        typer.echo("The ledger is sound." if found.ok else f"{len(found.wrong)} things are wrong.")
    if not found.ok:
        raise typer.Exit(1)


@ledger.command()
def seal() -> None:
    """Add what is committed to the hash chain now; `book` does so all the time."""
    from sinks.chain import seal as add_links

    with books() as conn:
        typer.echo(f"Sealed {add_links(conn):,} rows.")


@ledger.command()
def balance(
    kind: Annotated[str | None, typer.Option(help="Such as promoter_payable.")] = None,
    owner: Annotated[str | None, typer.Option(help="Promoter, campaign or platform.")] = None,
    currency: Annotated[str | None, typer.Option(help="Such as EUR.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show balances, all or some."""
    from typing import get_args

    import msgspec

    from schemas.money import format_micros, parse_currency
    from sinks.ledger import AccountKind
    from sinks.ledger_show import load_balances

    if kind is not None and kind not in get_args(AccountKind):
        raise Problem(f"--kind is {kind!r}; it must be one of {', '.join(get_args(AccountKind))}")
    try:
        code = parse_currency(currency) if currency is not None else None
    except ValueError as error:
        raise Problem(str(error)) from None
    with books() as conn:
        found = load_balances(conn, kind, owner, code)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    for row in found:
        amount = format_micros(row.balance_micros, row.currency)
        typer.echo(f"{row.kind:<17} {row.owner_id:<32} {amount:>30}")
    typer.echo(f"{len(found):,} accounts.")


@ledger.command()
def journal(
    which: Annotated[
        str, typer.Argument(metavar="ID|KEY", help="Number or key.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Show a journal: its entries, what it reverses or is reversed by, its corrections."""
    import msgspec

    from schemas.money import format_micros
    from sinks.ledger_show import load_journal

    with books() as conn:
        found = load_journal(conn, which)
    if found is None:
        raise Problem(f"there is no journal with the number or key {which!r}")
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    at = found.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    typer.echo(f"Journal {found.journal_id}, {found.kind}, {at}, by {found.created_by}")
    typer.echo(f"  key {found.idempotency_key}: {found.description}")
    for entry in found.entries:
        amount = format_micros(entry.amount_micros, entry.currency)
        typer.echo(f"  {amount:>28}  {entry.kind} {entry.owner_id}")
    if found.reverses_id is not None:
        typer.echo(f"  takes back journal {found.reverses_id}")
    if found.reversed_by is not None:
        typer.echo(f"  is taken back by journal {found.reversed_by}")
    for one in found.corrections:
        anew = f", booked anew as journal {one.rebooked_id}" if one.rebooked_id else ""
        typer.echo(
            f"  correction {one.correction_id} of accrual {one.accrual_id}: {one.views:,} views, "
            f"by {one.actor}: {one.reason} (reversal {one.reversal_id}{anew})"
        )


@ledger.command()
def correct(
    accrual: Annotated[int, typer.Argument(metavar="ACCRUAL", min=1, max=2**62)],
    views: Annotated[int, typer.Option(help="How many are not valid.", min=1, max=2**62)],
    reason: Annotated[str, typer.Option(help="Why; kept with it.")],
    actor: Annotated[str, typer.Option(help="Who does this.")],
    key: Annotated[
        str | None, typer.Option(help="The same key again does not do it twice.")
    ] = None,
) -> None:
    """Take back views that were booked and are not valid; what was paid becomes a debt."""
    from schemas.money import format_micros
    from sinks.correct import correct as take_back

    for name, text in (("--reason", reason), ("--actor", actor)):
        if not text.strip():
            raise Problem(f"{name} is empty")
    if key is None:
        key = str(uuid.uuid4())
        # Before anything is done: whoever sees no answer can ask again with it.
        typer.echo(f"Key {key}")
    with books() as conn:
        done = take_back(conn, accrual, views, reason=reason, actor=actor.strip(), key=key)
        ((currency,),) = conn.execute(
            "SELECT currency FROM accruals WHERE accrual_id = %s", (accrual,)
        ).fetchall()
    net, back, debt = (
        format_micros(micros, currency)
        for micros in (done.net_micros, done.amount_micros, done.debt_micros)
    )
    typer.echo(
        f"Correction {done.correction_id} of accrual {accrual}: {views:,} views; {net} taken from "
        f"the promoter, of it {debt} as a debt; {back} back in the budget."
    )


def settle(
    until: Annotated[
        datetime | None, typer.Option(help="What is due at this time; UTC. Default: now.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is due.")] = False,
) -> None:
    """Judge views again with what came later, correct, and make payable what has passed its hold.

    A dry run says what is due as it is now, before anything is judged again.
    """
    from pipeline.settlement.judge_again import judge_again
    from schemas.money import format_micros
    from sinks.clickhouse import connect
    from sinks.settle import settle as move

    moment = until if until is None or until.tzinfo else until.replace(tzinfo=UTC)
    with books() as conn:
        # What is in the future is refused before anything is judged.
        due = move(conn, moment, dry_run=True)
        if not dry_run:
            done = judge_again(settings(), conn, connect(settings().url("clickhouse")), moment)
            if done.hours:
                typer.echo(
                    f"Judged again: {done.views:,} views of {done.hours:,} h of the log, "
                    f"{done.corrected:,} corrected."
                )
        found = due if dry_run else move(conn, moment)
    for row in found:
        typer.echo(
            f"{'Due' if dry_run else 'Settled'}: {format_micros(row.micros, row.currency)} of "
            f"{row.promoters:,} promoters, {row.accruals:,} accruals."
        )
    if not found:
        typer.echo("Nothing is due.")


def _hash(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise Problem(
            f"--head is {text!r}; it must be 64 hexadecimal digits, as verify prints them"
        )
    return value


@contextmanager
def books() -> "Iterator[Connection]":
    """A connection to the ledger; what is wrong becomes a `Problem`."""
    from sinks.correct import CorrectionError
    from sinks.ledger import IdempotencyError
    from sinks.postgres import connect
    from sinks.settle import SettleError

    try:
        with service_problems(), connect(settings(), "viewledger-ledger") as conn:
            yield conn
    except (CorrectionError, SettleError, IdempotencyError) as error:
        raise Problem(str(error)) from None
