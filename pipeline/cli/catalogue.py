"""`campaigns` and `promoters`: the catalogue in Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.postgres import Connection

File = Annotated[
    Path,
    typer.Argument(help="CSV with a header, or JSON lines; plain or gzip.", show_default=False),
]

campaigns = typer.Typer(help="What may be watched, for how much.", no_args_is_help=True)
promoters = typer.Typer(help="For whom it may be watched.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(campaigns, name="campaigns")
    app.add_typer(promoters, name="promoters")


@campaigns.command("import")
def import_campaigns(file: File) -> None:
    """Import campaigns, all or none, and fund their budgets in the ledger.

    Columns: campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status.
    """
    from sinks.catalogue import save_campaigns
    from sinks.catalogue_file import read_campaigns

    with _catalogue() as conn:
        typer.echo(f"Campaigns of {file}: {save_campaigns(conn, read_campaigns(file))}.")


@campaigns.command("list")
def list_campaigns() -> None:
    """Show the campaigns and what is left of their budgets."""
    from schemas.money import format_micros
    from sinks.ledger_fund import remaining_budgets

    with _catalogue() as conn:
        rows = remaining_budgets(conn)
    typer.echo(f"{'campaign':<24} {'status':<8} {'rate':>20} {'budget':>26} {'left':>26}")
    for campaign, left in rows:
        money = [
            format_micros(micros, campaign.currency)
            for micros in (campaign.rate_micros, campaign.budget_micros, left)
        ]
        typer.echo(
            f"{campaign.campaign_id:<24} {campaign.status:<8} "
            f"{money[0]:>20} {money[1]:>26} {money[2]:>26}"
        )


@promoters.command("import")
def import_promoters(file: File) -> None:
    """Import promoters, all or none.

    Columns: promoter_id,status.
    """
    from sinks.catalogue import save_promoters
    from sinks.catalogue_file import read_promoters

    with _catalogue() as conn:
        typer.echo(f"Promoters of {file}: {save_promoters(conn, read_promoters(file))}.")


@contextmanager
def _catalogue() -> "Iterator[Connection]":
    import psycopg

    from sinks.catalogue_file import CatalogueError
    from sinks.postgres import connect

    try:
        with connect(settings()) as conn:
            yield conn
    except (CatalogueError, OSError) as error:
        raise Problem(str(error)) from error
    except psycopg.OperationalError as error:
        raise Problem(f"Postgres does not answer: {error}") from error
    except psycopg.errors.UndefinedTable as error:
        raise Problem("Postgres has no tables yet: run `viewledger migrate up`") from error
