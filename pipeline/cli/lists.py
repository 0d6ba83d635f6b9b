"""`lists`: the operator's own allow and deny lists, with who and why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.operator_lists import Action, Entity
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.operator_lists import ShownEntry
    from sinks.postgres import Connection

Actor = Annotated[str, typer.Option("--actor", help="Who does this.", show_default=False)]
Why = Annotated[str, typer.Option("--why", help="Why; no personal data.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

lists = typer.Typer(
    help="Whom views are denied of, and whom lists do not apply to.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(lists, name="lists")


@lists.command("add")
def add(
    action: Annotated[Action, typer.Argument(show_default=False)],
    entity: Annotated[Entity, typer.Argument(show_default=False)],
    value: Annotated[
        str,
        typer.Argument(help="Address, CIDR range, device or id.", show_default=False),
    ],
    actor: Actor,
    why: Why,
    days: Annotated[
        float | None,
        typer.Option(min=0, max=36_500, help="After which it expires; else when removed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add an entry: deny makes views invalid, allow lifts what other lists say of them.

    Scorers have it within 5 seconds, collectors (address ranges) within 20. docs/judging.md.
    """
    from sinks.operator_lists import add_entry

    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with _lists() as conn:
        entry = add_entry(conn, action, entity, value, why=why, actor=actor, expires_at=expires_at)
    if as_json:
        _echo_json(entry)
        return
    until = "" if entry.expires_at is None else f" until {entry.expires_at:%Y-%m-%d %H:%M} UTC"
    typer.echo(f"Entry {entry.entry_id}: {action} {entity} {entry.value}{until}.")


@lists.command("remove")
def remove(
    entry_id: Annotated[int, typer.Argument(metavar="ENTRY", show_default=False)],
    actor: Actor,
    why: Why,
) -> None:
    """End an entry; it stays to be seen with `show --all`."""
    from sinks.operator_lists import remove_entry

    with _lists() as conn:
        entry = remove_entry(conn, entry_id, why=why, actor=actor)
    typer.echo(f"Entry {entry_id} removed: {entry.action} {entry.entity} {entry.value}.")


@lists.command("show")
def show(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the entries in force, with who added them and why."""
    from sinks.operator_lists import list_entries

    with _lists() as conn:
        found = [entry for entry in list_entries(conn) if everything or entry.in_force]
    if as_json:
        _echo_json(found)
        return
    for entry in found:
        value = entry.value or "erased"
        typer.echo(
            f"{entry.entry_id:<6} {entry.action:<5} {entry.entity:<8} {value:<36} "
            f"{entry.added_at:%Y-%m-%d %H:%M}  by {entry.added_by}: {entry.why}{_end_of(entry)}"
        )
    if not found:
        typer.echo("No entries.")


@lists.command("event")
def event(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show of an event what can be put on a list: address, device, viewer, promoter."""
    from pipeline.listed import entities_of

    with service_problems():
        found = entities_of(settings(), event_id)
    if found is None:
        raise Problem(f"no view has the event id {event_id!r}; it may not be stored yet")
    if as_json:
        _echo_json(found)
        return
    for entity, value in found.items():
        typer.echo(f"{entity:<8} {value or 'not known'}")


def _end_of(entry: "ShownEntry") -> str:
    if entry.removed_at is not None:
        at = f"{entry.removed_at:%Y-%m-%d %H:%M}"
        return f"; removed {at} by {entry.removed_by}: {entry.removed_why}"
    if entry.expires_at is None:
        return ""
    return f"; {'until' if entry.in_force else 'expired'} {entry.expires_at:%Y-%m-%d %H:%M}"


def _echo_json(found: object) -> None:
    import msgspec

    typer.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))


@contextmanager
def _lists() -> "Iterator[Connection]":
    from sinks.operator_lists import OperatorListError
    from sinks.postgres import connect

    try:
        with service_problems(), connect(settings()) as conn:
            yield conn
    except OperatorListError as error:
        raise Problem(str(error)) from None
