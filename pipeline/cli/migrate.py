"""`migrate`: the tables of both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.problems import Problem
from schemas.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sinks.migrate import Database

Which = Annotated[
    Literal["both", "postgres", "clickhouse"], typer.Option("--database", help="Of which database.")
]

migrate = typer.Typer(help="Create, remove and list the tables.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(migrate, name="migrate")


@migrate.command("up")
def up(database: Which = "both") -> None:
    """Apply all pending migrations; `viewledger up` does so, too."""
    from sinks.migrate import migrate_up

    with _problems():
        done = migrate_up(settings(), _databases(database))
        typer.echo(done or "Nothing was pending.", nl=not done)


@migrate.command("down")
def down(
    steps: Annotated[int, typer.Option(min=1, help="How many migrations.")] = 1,
    database: Which = "both",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the last migrations back. Their tables go, and what is in them."""
    from sinks.migrate import migrate_down

    if not yes:
        typer.confirm("Tables and what is in them will be lost. Go on?", abort=True)
    with _problems():
        typer.echo(migrate_down(settings(), steps, _databases(database)), nl=False)


@migrate.command("status")
def status(database: Which = "both") -> None:
    """List which migrations are applied and which are pending."""
    from sinks.migrate import migrate_status

    with _problems():
        typer.echo(migrate_status(settings(), _databases(database)), nl=False)


def _databases(which: Literal["both", "postgres", "clickhouse"]) -> "Sequence[Database]":
    from sinks.migrate import DATABASES

    return DATABASES if which == "both" else [which]


@contextmanager
def _problems() -> Iterator[None]:
    from sinks.migrate import MigrationError

    try:
        yield
    except MigrationError as error:
        raise Problem(str(error)) from error
