"""`models list|promote|rollback` and `models shadow`: which model judges, and which only watch."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.chosen import Pin
from schemas.settings import settings

if TYPE_CHECKING:
    from models.registry import Model
    from sinks.postgres import Connection
    from sinks.shadow_report import Difference

By = Annotated[str, typer.Option("--by", help="Who does this.", show_default=False)]
Note = Annotated[str, typer.Option(help="Why; kept with it.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Since = Annotated[datetime, typer.Option(help="Log time; UTC.", show_default=False)]
Until = Annotated[datetime | None, typer.Option(help="Log time; UTC. Default: now.")]
Top = Annotated[int, typer.Option(min=0, help="How many promoters to show.")]

shadow = typer.Typer(rich_markup_mode=None)


@shadow.callback(invoke_without_command=True)
def watch(
    context: typer.Context,
    since: Annotated[
        datetime | None, typer.Option(help="As `report --since`.", show_default=False)
    ] = None,
    until: Until = None,
    top: Top = 20,
    as_json: AsJson = False,
) -> None:
    """Models that score every view beside the champion, without a say."""
    if context.invoked_subcommand is None:
        if since is None:
            typer.echo(context.get_help())
            raise typer.Exit(2)
        report(since, until, top, as_json)


def list_all(as_json: AsJson = False) -> None:
    """Show the models of the registry, what they are here, and who changed what."""
    import msgspec

    from models.panel import model_names
    from sinks.models import chosen_after, load_changes

    with registry() as conn:
        changes = load_changes(conn)
    champions, shadows, _ = chosen_after(changes)
    champion = champions[0].name if champions else settings().model
    chosen = {pin.name: pin for pin in (*shadows, *champions[:1])}
    rows = []
    for name in sorted({*model_names(settings().models), *chosen, champion}):
        found, why = _try(name, chosen.get(name))
        role = "champion" if name == champion else "shadow" if name in chosen else ""
        rows.append(
            {
                "name": name,
                "role": role,
                "version": found.version if found else "",
                "threshold": found.threshold if found else None,
                "sha256": found.sha256 if found else "",
                "problem": why,
            }
        )
    if as_json:
        typer.echo(json.dumps({"models": rows, "changes": msgspec.to_builtins(changes)}, indent=2))
        return
    typer.echo(f"{'name':<20} {'role':<9} {'version':<24} threshold")
    for row in rows:
        says = row["problem"] or f"{row['threshold']:.4f}"
        typer.echo(f"{row['name']:<20} {row['role']:<9} {row['version']:<24} {says}")
    if not champions:
        typer.echo(f"None was promoted: VIEWLEDGER_MODEL says {champion!r}.")
    for change in changes[-20:]:
        note = f": {change.note}" if change.note else ""
        typer.echo(
            f"{change.changed_at:%Y-%m-%d %H:%M:%S} {change.action} {change.model} "
            f"({change.version}, {change.sha256[:12]}) by {change.actor}{note}"
        )


def promote(name: Name, by: By, note: Note = "") -> None:
    """Make a model the champion, of all scorers and within seconds; can be rolled back."""
    from sinks.models import promote as make_champion

    model = _model(name)
    with registry() as conn:
        pin = Pin(name, model.sha256)
        make_champion(conn, pin, model.version, actor=by, note=note)
    typer.echo(f"{model.version} is the champion. Scorers follow within seconds.")


def rollback(by: By, note: Note = "") -> None:
    """Take back the last promotion: the champion before it judges again."""
    from sinks.models import load_chosen
    from sinks.models import rollback as take_back

    with registry() as conn:
        champions = load_chosen(conn).champions
        if not champions:
            raise Problem(
                f"nothing was promoted: VIEWLEDGER_MODEL says {settings().model!r} is champion"
            )
        back = _model(champions[1].name if champions[1:] else settings().model)
        if champions[1:] and back.sha256 != champions[1].sha256:
            raise Problem(
                f"model {champions[1].name!r} is another file now than the one that was promoted: "
                "put that one back, or promote another model"
            )
        take_back(conn, champions[0], actor=by, note=note)
    typer.echo(f"{back.version} is the champion again. Scorers follow within seconds.")


@shadow.command()
def add(name: Name, by: By, note: Note = "") -> None:
    """Have a model score every view from now on."""
    from sinks.models import add_shadow

    model = _model(name)
    with registry() as conn:
        pin = Pin(name, model.sha256)
        add_shadow(conn, pin, model.version, actor=by, note=note)
    typer.echo(f"{model.version} is a shadow. Scorers follow within seconds.")


@shadow.command()
def remove(name: Name, by: By, note: Note = "") -> None:
    """End it; what it scored stays."""
    from sinks.models import remove_shadow

    with registry() as conn:
        remove_shadow(conn, name, actor=by, note=note)
    typer.echo(f"{name} is no shadow any more. Scorers follow within seconds.")


@shadow.command()
def report(
    since: Since,
    until: Until = None,
    top: Top = 20,
    as_json: AsJson = False,
) -> None:
    """Say what each shadow would have paid otherwise, in views and in money."""
    import msgspec

    from sinks.clickhouse import connect
    from sinks.shadow_report import shadow_report, shadow_versions

    begin, end = since.replace(tzinfo=UTC), (until or datetime.now(UTC)).replace(tzinfo=UTC)
    with service_problems(), connect(settings().url("clickhouse")) as client:
        found = {
            version: shadow_report(client, version, begin, end)
            for version in shadow_versions(client, begin, end)
        }
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    if not found:
        typer.echo(f"No shadow scored anything since {begin:%Y-%m-%d %H:%M} UTC.")
    for version, differences in found.items():
        _say_differences(version, differences, top)


def _say_differences(version: str, found: "list[Difference]", top: int) -> None:
    from schemas.money import format_micros

    moved = [one for one in found if one.moved_micros]
    typer.echo(f"{version}, {sum(one.views for one in found):,} views of {len(found):,} promoters:")
    for currency in sorted({one.currency for one in found}):
        mine = [one for one in moved if one.currency == currency]
        total, denied, granted = (
            format_micros(sum(getattr(one, f"{what}_micros") for one in mine), currency)
            for what in ("moved", "denied", "granted")
        )
        typer.echo(
            f"  would have moved {total} across {len(mine):,} promoters: {denied} not paid, "
            f"{granted} paid on top"
        )
    for one in moved[:top]:
        denied, granted = (
            format_micros(micros, one.currency)
            for micros in (one.denied_micros, one.granted_micros)
        )
        typer.echo(
            f"    {one.promoter_id:<32} {one.denied_views:>9,} views {denied:>18} not paid, "
            f"{one.granted_views:>9,} views {granted:>18} on top"
        )
    if moved[top:]:
        typer.echo(f"    … and {len(moved) - top:,} more: see --top and --json")


def _model(name: str) -> "Model":
    from models.panel import load_named, model_names
    from models.registry import ModelError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise Problem(f"{name!r} is no name of a model: letters, digits, `.`, `_` and `-`")
    try:
        return load_named(name, settings().models)
    except ModelError as error:
        folder = settings().models
        own = f"; VIEWLEDGER_MODELS, the folder of your own, is {folder or 'not set'}"
        raise Problem(f"{error}{own if name not in model_names(folder) else ''}") from None


def _try(name: str, pin: Pin | None) -> "tuple[Model | None, str]":
    """A model, or why it cannot be used."""
    from functools import partial

    from models.panel import load_named, load_pinned
    from models.registry import ModelError

    load = partial(load_named, folder=settings().models)
    try:
        return (load_pinned(pin, load) if pin else load(name)), ""
    except ModelError as error:
        return None, str(error)


@contextmanager
def registry() -> "Iterator[Connection]":
    """A connection to where the choice of models is kept; what is wrong becomes a `Problem`."""
    from sinks.models import ModelsError
    from sinks.postgres import connect

    try:
        with service_problems(), connect(settings()) as conn:
            yield conn
    except ModelsError as error:
        raise Problem(str(error)) from None


def register(models: typer.Typer) -> None:
    """Adds the commands to the group `models`."""
    models.command("list")(list_all)
    models.command()(promote)
    models.command()(rollback)
    models.add_typer(shadow, name="shadow")
