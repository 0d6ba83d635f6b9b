"""`viewledger models`: train and evaluate models, and read the card of one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli import models_train
from pipeline.cli.problems import Problem

if TYPE_CHECKING:
    from models.ranking import RankingModel
    from models.registry import Model

models = typer.Typer(
    help="Train and evaluate models of bots, and read their cards.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models.command()
def card(
    name: Annotated[
        str, typer.Argument(help="A model of the registry, or the folder of one.")
    ] = "champion",
) -> None:
    """Print the card of a model: data, figures, threshold."""
    from models.registry import REGISTRY

    folder = Path(name) if _is_folder(name) else REGISTRY / name
    try:
        typer.echo((folder / "card.md").read_text(), nl=False)
    except OSError:
        known = sorted(path.parent.name for path in REGISTRY.glob("*/card.md"))
        raise Problem(f"no card of {name!r}; there is {', '.join(known) or 'none'}") from None


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


def _loaded(name: str) -> "Model | RankingModel":
    from models.ranking import is_ranking_model, load_ranking_model
    from models.registry import REGISTRY, ModelError, load_model

    try:
        if _is_folder(name):
            folder = Path(name)
            if is_ranking_model(folder):
                return load_ranking_model(folder)
            return load_model(folder.resolve().name, folder.resolve().parent)
        return load_model(name, REGISTRY)
    except ModelError as error:
        raise Problem(str(error)) from None


def _is_folder(name: str) -> bool:
    return Path(name).is_dir() and Path(name).name != name


def register(app: typer.Typer) -> None:
    """Adds the group."""
    models_train.register(models)
    app.add_typer(models, name="models")
