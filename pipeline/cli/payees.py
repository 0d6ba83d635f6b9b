"""`payees`: who is paid, and by which account; bank details are shown masked everywhere."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.postgres import Connection

Actor = Annotated[str, typer.Option("--actor", help="Who does this.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PromoterId = Annotated[str, typer.Argument(metavar="PROMOTER", show_default=False)]

payees = typer.Typer(help="Who is paid, and by which account.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(payees, name="payees")


@payees.command("import")
def import_payees(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with a header, or JSON lines; plain or gzip.", show_default=False),
    ],
    actor: Actor,
    replace_unreadable: Annotated[
        bool,
        typer.Option("--replace-unreadable", help="Overwrite what no key opens any more."),
    ] = False,
) -> None:
    """Import payees, all or none. Changing name, address or account ends a verification.

    Columns: docs/payees.md.
    """
    from sinks.payee_file import read_payees
    from sinks.payees import save_payees
    from sinks.sealing import payee_keys

    with _payees() as conn:
        found = read_payees(file)
        changes = save_payees(
            conn,
            payee_keys(settings()),
            found.payees,
            actor=actor,
            replace_unreadable=replace_unreadable,
        )
    for warning in found.warnings:
        typer.echo(f"{file}: {warning}", err=True)
    typer.echo(f"Payees of {file}: {changes}.")


@payees.command("list")
def list_payees(as_json: AsJson = False) -> None:
    """Show all payees, accounts masked."""
    from sinks.payees import list_payees

    with _payees() as conn:
        found = list_payees(conn)
    if as_json:
        _echo_json(found)
        return
    typer.echo(f"{'promoter':<24} {'name':<30} {'pays':<10} {'account':<28} {'tax':<10} verified")
    for one in found:
        tax = one.tax_form + (" +bw" if one.backup_withholding else "")
        typer.echo(
            f"{one.promoter_id:<24} {one.legal_name:<30} {one.currency} {one.method:<6} "
            f"{one.masked:<28} {tax:<10} {one.verified_by or 'no'}"
        )


@payees.command("show")
def show(promoter_id: PromoterId, as_json: AsJson = False) -> None:
    """Show a payee and what was changed about it, account masked."""
    import msgspec

    from sinks.payees import show_payee

    with _payees() as conn:
        payee, changes = show_payee(conn, promoter_id)
    if as_json:
        _echo_json({"payee": payee, "changes": changes})
        return
    for name, value in msgspec.to_builtins(payee).items():
        if value not in ("", None):
            typer.echo(f"{name:<20} {value}")
    typer.echo("\nchanges")
    for change in changes:
        at = change.changed_at.isoformat(timespec="seconds")
        what = ", ".join("bank details" if name == "sealed" else name for name in change.fields)
        of_what = f": {what}" if change.kind == "changed" else ""
        typer.echo(f"{at}  version {change.version}  {change.kind} by {change.changed_by}{of_what}")


@payees.command("verify")
def verify(
    promoter_id: PromoterId,
    actor: Actor,
    version: Annotated[
        int | None, typer.Option(help="The version you looked at; refused if it changed since.")
    ] = None,
) -> None:
    """Note that you have verified a payee; not possible for whoever changed it."""
    from sinks.payees import verify_payee

    with _payees() as conn:
        payee = verify_payee(conn, promoter_id, actor=actor, version=version)
    typer.echo(
        f"{promoter_id} verified by {actor}: {payee.legal_name}, {payee.town} {payee.country}, "
        f"{payee.masked}, version {payee.version}."
    )


@payees.command("rotate-key")
def rotate_key() -> None:
    """Seal all bank details with the first of VIEWLEDGER_PAYEE_KEYS; safe to interrupt and repeat.

    Afterwards the other keys are needed for what was sealed elsewhere only: backups and files.
    """
    from sinks.payee_rotate import rotate_key
    from sinks.sealing import first_key, payee_keys

    with _payees() as conn:
        keys = payee_keys(settings())
        done = rotate_key(conn, keys)
    typer.echo(f"{done.resealed:,} payees sealed with key {first_key(keys)!r}.")
    if done.unreadable:
        more = f"\n  … and {len(done.unreadable) - 20} more" if len(done.unreadable) > 20 else ""
        listed = "\n  ".join(done.unreadable[:20])
        raise Problem(f"{len(done.unreadable):,} payees could not be opened\n  {listed}{more}")


@payees.command("new-key")
def new_key() -> None:
    """Print a fresh key as id:base64, to be put first in VIEWLEDGER_PAYEE_KEYS."""
    from sinks.sealing import new_key

    typer.echo(new_key())


def _echo_json(found: object) -> None:
    import msgspec

    typer.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))


@contextmanager
def _payees() -> "Iterator[Connection]":
    from sinks.payees import PayeeError
    from sinks.postgres import connect
    from sinks.sealing import SealError

    try:
        with service_problems(), connect(settings()) as conn:
            yield conn
    except (PayeeError, SealError, OSError) as error:
        raise Problem(str(error)) from None
