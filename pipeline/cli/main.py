"""`viewledger`: collects the commands and turns expected errors into a line for a person."""

import sys
import warnings

import typer

from pipeline.cli import (
    ask,
    campaign_money,
    catalogue,
    demo,
    erase,
    explain,
    keys,
    ledger,
    lists,
    migrate,
    models,
    models_registry,
    payees,
    payouts,
    reconcile,
    rejected,
    replay,
    review,
    schema,
    services,
    simulate,
)
from pipeline.cli.problems import Problem
from schemas.logs import logs_for_people
from schemas.settings import NotRunningError

app = typer.Typer(
    help="Counts views, keeps bots out, and books what promoters earned.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

demo.register(app)
services.register(app)
catalogue.register(app)
campaign_money.register(app)
payees.register(app)
keys.register(app)
payouts.register(app)
ledger.register(app)
lists.register(app)
migrate.register(app)
models.register(app)
models_registry.register(models.models)
simulate.register(app)
replay.register(app)
schema.register(app)
ask.register(app)
explain.register(app)
rejected.register(app)
review.register(app)
reconcile.register(app)
erase.register(app)


def main() -> None:
    """Entry point of the console script."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    logs_for_people()
    try:
        app()
    except (Problem, NotRunningError) as error:
        sys.stderr.write(f"viewledger: {error}\n")
        sys.exit(1)
