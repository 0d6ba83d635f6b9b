"""`viewledger model`: train a model, and read the card of one."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.problems import Problem

model = typer.Typer(
    help="Train models of bots and read their cards.", no_args_is_help=True, rich_markup_mode=None
)


@model.command()
def train(
    seed: Annotated[int, typer.Option(min=0, help="Of simulator and training.")] = 1,
    events: Annotated[
        int,
        typer.Option(
            min=20_000, max=5_000_000, help="Events of an ordinary simulated day; there are 28."
        ),
    ] = 100_000,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "champion",
    version: Annotated[
        str | None, typer.Option(help="What verdicts call it. [default: name and seed]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of models. [default: that of this package]")
    ] = None,
    false_positives: Annotated[
        float, typer.Option(min=0.0001, max=0.2, help="Share of people's views it may flag.")
    ] = 0.005,
) -> None:
    """Train a model on simulated traffic, test it on other traffic, and save it with its card."""
    from models.registry import REGISTRY
    from pipeline.cli.progress import events_bar
    from pipeline.train import train_model, volume

    with events_bar() as bar:
        task = bar.add_task("simulating", total=volume(events))
        try:
            made = train_model(
                name,
                version or f"{name}-{seed}",
                seed,
                events,
                false_positives,
                out or REGISTRY,
                lambda done: bar.advance(task, done),
            )
        except OSError as error:
            raise Problem(f"cannot write {error.filename}: {error.strerror}") from None
        except ValueError as error:
            raise Problem(f"no model: {error}; try more --events or --false-positives") from None
    tests = made.metrics["tests"]
    caught, flagged = tests["bots_caught_by_model"], tests["people_flagged_by_model"]
    typer.echo(f"{made.version} in {(out or REGISTRY) / name}")
    typer.echo(f"catches {caught['rate']:.1%} of bots' payable views that lists let through")
    typer.echo(f"flags {flagged['rate']:.2%} of people's payable views")


@model.command()
def card(
    name: Annotated[str, typer.Argument(help="Name of a model in the registry.")] = "champion",
) -> None:
    """Print the card of a model: data, figures, threshold."""
    from models.card import card_text
    from models.registry import ModelError, load_model

    try:
        found = load_model(name)
    except ModelError as error:
        raise Problem(str(error)) from None
    typer.echo(card_text(found.card), nl=False)


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(model, name="model")
