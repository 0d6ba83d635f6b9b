"""`explain`: why a view got its verdict."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from pipeline.explain import Explanation
    from sinks.explain import CorrectedView


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explain)


def explain(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", show_default=False)],
    top: Annotated[int, typer.Option(min=0, help="How many features to show.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """Say why a view got its verdict: reasons, score, what made it up, by which versions, and what
    settlement or a review made of it."""
    import msgspec

    from pipeline.explain import explain as take_apart
    from sinks.clickhouse import connect
    from sinks.explain import load_judged

    with service_problems(), connect(settings().url("clickhouse")) as client:
        views, refused = load_judged(client, event_id)
    if not views and not refused:
        raise Problem(f"there is no event {event_id!r} in ClickHouse: give it as it was sent")
    found = [take_apart(view, settings().models) for view in views]
    if as_json:
        told = {"views": found, "refused": refused}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    for one in found:
        _say(one, top)
    for event in refused:
        at = f"{event.log_time:%Y-%m-%d %H:%M:%S}"
        typer.echo(f"Event {event_id}: refused at {at} as {event.reason} (docs/events.md)")


def _say(found: "Explanation", top: int) -> None:
    view = found.view
    now = f", by now {view.corrections[-1].became}" if view.corrections else ""
    typer.echo(f"Event {view.event_id}: {view.verdict}{now}")
    typer.echo(
        f"  {view.log_time:%Y-%m-%d %H:%M:%S} UTC, campaign {view.campaign_id}, promoter "
        f"{view.promoter_id}, views.raw {view.partition}/{view.raw_offset}"
    )
    typer.echo(
        f"  model {view.model_version}, policy {view.policy_version}, lists {view.lists_version}"
    )
    for why in found.why:
        typer.echo(f"  {why.reason} ({why.kind}): {why.text}")
    if not found.why:
        typer.echo("  nothing speaks against it")
    if view.score is not None:
        beside = "" if found.threshold is None else f", bots from {found.threshold:.4f}"
        typer.echo(f"  score {view.score:.4f}{beside}")
    for shadow in found.shadows:
        says = f"bots from {shadow.threshold:.4f}: {'a bot' if shadow.bot else 'no bot'}"
        typer.echo(f"  shadow {shadow.version}: {shadow.score:.4f}, {says}")
    if found.raw_score is not None and found.base is not None:
        typer.echo(f"  log-odds of a bot {found.raw_score:+.2f}, of the average {found.base:+.2f};")
        typer.echo("  what each feature adds:")
        for part in found.parts[:top]:
            value = "not known" if part.value is None else f"{part.value:g}"
            typer.echo(
                f"    {part.contribution:+6.2f}  {part.feature} = {value} ({part.description})"
            )
        rest = sum(part.contribution for part in found.parts[top:])
        if found.parts[top:]:
            typer.echo(f"    {rest:+6.2f}  the other {len(found.parts[top:])}")
    if found.problem:
        typer.echo(f"  Note: {found.problem}.")
    for one in view.corrections:
        _say_correction(one)


def _say_correction(one: "CorrectedView") -> None:
    from schemas.money import format_micros
    from schemas.verdicts import reason_labels

    rules = f", rules {one.rules_version}" if one.rules_version else ""
    typer.echo(
        f"  {one.was} became {one.became} on {one.corrected_at:%Y-%m-%d %H:%M:%S} UTC by "
        f"{one.actor} ({one.why}{rules}): {one.note}"
    )
    if one.became_reasons:
        typer.echo(f"    against it: {', '.join(reason_labels(one.became_reasons))}")
    for micros, gains, loses in (
        (one.paid_micros, "its campaign pays {}", "its campaign gets {} back"),
        (one.capped_micros, "{} is beyond the budget", "{} less is beyond the budget"),
    ):
        if micros:
            says = gains if micros > 0 else loses
            typer.echo(f"    {says.format(format_micros(abs(micros), one.currency))}")
