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

_SHOWN = 20

campaigns = typer.Typer(help="What may be watched, for how much.", no_args_is_help=True)
promoters = typer.Typer(help="For whom it may be watched.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(campaigns, name="campaigns")
    app.add_typer(promoters, name="promoters")


@campaigns.command("import")
def import_campaigns(file: File) -> None:
    """Import campaigns, all or none, and fund their budgets in the ledger.

    Columns: campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status, and if you
    like fee_bp,daily_budget_micros,hold_hours. Another rate holds for what is viewed from now on.
    """
    from sinks.catalogue import save_campaigns
    from sinks.catalogue_file import read_campaigns

    with catalogue() as conn:
        changes = save_campaigns(conn, read_campaigns(file))
    typer.echo(f"Campaigns of {file}: {changes}.")
    for detail in changes.details[:_SHOWN]:
        typer.echo(f"  {detail}")
    if len(changes.details) > _SHOWN:
        typer.echo(f"  … and {len(changes.details) - _SHOWN} more")


@campaigns.command("list")
def list_campaigns() -> None:
    """Show the campaigns, their present rates and what is left of their budgets."""
    from schemas.money import format_micros
    from sinks.ledger_fund import remaining_budgets

    with catalogue() as conn:
        rows = remaining_budgets(conn)
    typer.echo(
        f"{'campaign':<24} {'status':<8} {'rate':>20} {'fee':>8} {'budget':>26} {'left':>26}"
        f" {'a day':>26} {'hold':>6}"
    )
    for campaign, left in rows:
        day = campaign.daily_budget_micros
        rate, budget, left_text = (
            format_micros(micros, campaign.currency)
            for micros in (campaign.rate_micros, campaign.budget_micros, left)
        )
        typer.echo(
            f"{campaign.campaign_id:<24} {campaign.status:<8} {rate:>20} "
            f"{campaign.fee_bp / 100:>6.2f} % {budget:>26} {left_text:>26} "
            f"{'' if day is None else format_micros(day, campaign.currency):>26} "
            f"{campaign.hold_hours:>4} h"
        )


@promoters.command("import")
def import_promoters(file: File) -> None:
    """Import promoters, all or none.

    Columns: promoter_id,status.
    """
    from sinks.catalogue import save_promoters
    from sinks.catalogue_file import read_promoters

    with catalogue() as conn:
        typer.echo(f"Promoters of {file}: {save_promoters(conn, read_promoters(file))}.")


@contextmanager
def catalogue() -> "Iterator[Connection]":
    """A connection to Postgres; what is wrong becomes a `Problem`."""
    import psycopg

    from sinks.catalogue_file import CatalogueError
    from sinks.ledger import IdempotencyError
    from sinks.postgres import connect

    try:
        with connect(settings()) as conn:
            yield conn
    except (CatalogueError, IdempotencyError) as error:
        raise Problem(str(error)) from error
    except OSError as error:
        raise Problem(f"{error.filename}: {error.strerror}") from error
    except psycopg.OperationalError as error:
        raise Problem(f"Postgres does not answer: {error}") from error
    except psycopg.errors.UndefinedTable as error:
        raise Problem("Postgres has no tables yet: run `viewledger migrate up`") from error
