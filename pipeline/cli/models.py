"""`viewledger models`: train and evaluate models, and read the card of one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.problems import Problem

if TYPE_CHECKING:
    from models.registry import Model

models = typer.Typer(
    help="Train and evaluate models of bots, and read their cards.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models.command()
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


@models.command()
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


@models.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Events to score, plain or gzipped.")],
    adapter: Annotated[
        Literal["view", "talkingdata", "wikipedia"], typer.Option(help="What kind of files.")
    ],
    model: Annotated[
        str | None, typer.Option(help="A model of the registry, or the folder of one.")
    ] = None,
    fit: Annotated[
        list[Path] | None,
        typer.Option(help="Instead of --model: train on this file first; may be repeated."),
    ] = None,
    warm: Annotated[
        list[Path] | None,
        typer.Option(
            help="Build memory (and nothing else) from what this file has before --data; may be "
            "repeated. [default: memory is cold at the first event of --data, after --fit too]"
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="Who made the events of view files, as `simulate --labels` says it."),
    ] = None,
    mode: Annotated[
        Literal["online", "settlement"],
        typer.Option(help="With settlement, --fit also sees the ten minutes after each event."),
    ] = "online",
    features: Annotated[
        Literal["velocity", "all"],
        typer.Option(
            help="velocity: when and how often entities were seen. all: also how often campaigns, "
            "promoters and devices were positive in --fit, and the event itself."
        ),
    ] = "all",
    disjoint: Annotated[
        bool, typer.Option("--disjoint", help="Count no viewers that are in --fit.")
    ] = False,
    cap: Annotated[
        int | None, typer.Option(min=1, help="Count the first so many events of each viewer.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of training and intervals.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Say how well a model ranks labelled events, with 95 % intervals.

    Positive are: of view files bots, of talkingdata installs, of wikipedia robots. Features of an
    event know of earlier events only, unless --mode settlement is asked for. See docs/models.md.
    """
    from pipeline.evaluate.evaluate import Asked, evaluate_files
    from pipeline.evaluate.report import as_text

    if bool(model) == bool(fit):
        raise Problem("give either --model, or --fit files to train one on first")
    if model and (disjoint or mode == "settlement" or features == "velocity"):
        raise Problem("--disjoint, --mode settlement and --features velocity need --fit")
    if adapter == "view" and not labels:
        raise Problem(
            "view files need --labels: who made each event, as `simulate --labels` writes"
        )
    if adapter != "view" and labels:
        raise Problem(f"{adapter} files have their labels in them: leave --labels out")
    found = evaluate_files(
        Asked(
            model=_loaded(model) if model else None,
            fit=fit or [],
            data=data,
            adapter=adapter,
            labels=labels or [],
            mode=mode,
            warm=warm or [],
            features=features,
            disjoint=disjoint,
            cap=cap,
            seed=seed,
        )
    )
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))


def _loaded(name: str) -> "Model":
    from models.registry import REGISTRY, ModelError, load_model

    folder = Path(name)
    try:
        if folder.is_dir() and folder.name != name:
            return load_model(folder.resolve().name, folder.resolve().parent)
        return load_model(name, REGISTRY)
    except ModelError as error:
        raise Problem(str(error)) from None


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(models, name="models")
