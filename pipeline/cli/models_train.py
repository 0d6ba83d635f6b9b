"""`viewledger models train`: on simulated days, or on files with labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.problems import Problem

if TYPE_CHECKING:
    from models.registry import Card


def train(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Train on events of this file, plain or gzipped; may be repeated. "
            "[default: on simulated days]"
        ),
    ] = None,
    adapter: Annotated[
        Literal["view", "talkingdata", "wikipedia"], typer.Option(help="What kind of files.")
    ] = "view",
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="Who made the events of view files, as `simulate --labels` says it."),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(help="Campaigns of view files, with rates. [default: views are worth 1]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of simulator and training.")] = 1,
    events: Annotated[
        int,
        typer.Option(
            min=20_000, max=5_000_000, help="Events of an ordinary day; 43 times as many in all."
        ),
    ] = 60_000,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "candidate",
    version: Annotated[
        str | None, typer.Option(help="What verdicts call it. [default: name and seed]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of models. [default: that of this package]")
    ] = None,
    false_positives: Annotated[
        float, typer.Option(min=0.0001, max=0.2, help="Share of people's views it may flag.")
    ] = 0.005,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(help="A kind of bot that it is not shown, to see what it finds of it."),
    ] = None,
    hold_out_each: Annotated[
        bool,
        typer.Option(
            "--hold-out-each",
            help="Also train a smaller model without each kind of bot; half as long again.",
        ),
    ] = False,
) -> None:
    """Train a model, test it on what it has not seen, and save it with its card and plots.

    Without --data on simulated days, and tested on other days. With --data on the first 60 % of the
    events, and tested on the last 20 %; a scorer takes models of view files only. See
    docs/models.md.
    """
    from models.registry import REGISTRY
    from pipeline.cli.progress import events_bar
    from pipeline.train import train_model, volume
    from pipeline.train_files import train_on_views
    from pipeline.train_ranking import train_ranking
    from pipeline.train_wanted import Wanted

    _check_training(data, adapter, labels, catalog, hold_out, hold_out_each)
    wanted = Wanted(
        name=name,
        version=version or f"{name}-{seed}",
        seed=seed,
        false_positive_rate=false_positives,
        registry=out or REGISTRY,
        hold_out=tuple(hold_out or ()),
    )
    with events_bar() as bar:
        task = bar.add_task("starting", total=None if data else volume(events))

        def step(name: str) -> None:
            bar.update(task, description=name)

        try:
            if not data:
                made = train_model(
                    wanted, events, hold_out_each, lambda done: bar.advance(task, done), step
                )
            elif adapter == "view":
                made = train_on_views(wanted, data, labels or [], catalog, step)
            else:
                made = train_ranking(wanted, adapter, data, step)
        except OSError as error:
            raise Problem(f"cannot write {error.filename}: {error.strerror}") from None
        except ValueError as error:
            more = "more --data" if data else "more --events"
            raise Problem(f"no model: {error}; try {more} or --false-positives") from None
    _say(made, wanted.registry / name)


def _check_training(
    data: list[Path] | None,
    adapter: str,
    labels: list[Path] | None,
    catalog: Path | None,
    hold_out: list[str] | None,
    hold_out_each: bool,
) -> None:
    from pipeline.simulate.traffic import Label

    if data and adapter == "view" and not labels:
        raise Problem(
            "view files need --labels: who made each event, as `simulate --labels` writes"
        )
    if labels and (not data or adapter != "view"):
        raise Problem("--labels are of view files: give --data, and --adapter view")
    if catalog and (not data or adapter != "view"):
        raise Problem("--catalog is of view files: give --data, and --adapter view")
    if adapter != "view" and not data:
        raise Problem(f"--adapter {adapter} needs --data: files of that kind")
    if adapter != "view" and hold_out:
        raise Problem(f"{adapter} files say nothing of kinds: leave --hold-out out")
    if hold_out_each and data:
        raise Problem("--hold-out-each is for simulated days; with --data give --hold-out KIND")
    kinds = sorted(label.name.lower() for label in Label if label.name != "HUMAN")
    for kind in hold_out or () if not data else ():
        if kind not in kinds:
            raise Problem(f"--hold-out {kind}: no such kind of bot; there are {', '.join(kinds)}")


def _say(made: "Card", folder: Path) -> None:
    tests = made.metrics["tests"]
    typer.echo(f"{made.version} in {folder}; see its card.md")
    if "money_leaked" not in tests:
        found = tests["roc_auc"]
        typer.echo(f"ROC-AUC {found['estimate']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
        typer.echo("for `models evaluate --model` only: a scorer refuses it")
        return
    for text, name in (
        ("catches {} of bots' payable views that lists let through", "bots_caught_by_model"),
        ("flags {} of people's payable views", "people_flagged_by_model"),
        ("leaks {} of what bots' views would be paid", "money_leaked"),
        ("denies {} of what people's views would be paid", "money_denied"),
    ):
        rate = tests[name]["rate"]
        typer.echo(text.format("–" if rate is None else f"{rate:.2%}"))


def register(app: typer.Typer) -> None:
    """Adds the command to its group."""
    app.command()(train)
