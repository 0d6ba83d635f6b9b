"""`rejected list` and `rejected replay`."""

from typing import Annotated, Any

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

_CLOCKS_MS = 3_600_000

Reason = Annotated[str | None, typer.Option("--reason", help="Only what was refused for this.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    group = typer.Typer(help="Events that were not accepted.", no_args_is_help=True)
    group.command("list")(list_rejected)
    group.command("replay")(replay)
    app.add_typer(group, name="rejected")


def list_rejected(
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Examples, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count what was refused, by reason; with --reason, show the newest examples."""
    import json

    from sinks.clickhouse import connect
    from sinks.rejected import count_by_reason

    _check(reason)
    with service_problems():
        client = connect(settings().url("clickhouse"))
        counts = count_by_reason(client)
        examples = [] if reason is None else _examples(client, reason, limit)
    if as_json:
        found: dict[str, Any] = {"counts": counts}
        if reason is not None:
            found["examples"] = examples
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for name, events in counts.items():
        if reason in (None, name):
            typer.echo(f"{name:<22}{events:>14,}")
    if not counts:
        typer.echo("Nothing was refused.")
    for one in examples:
        typer.echo(
            f"\n{one['partition']}/{one['raw_offset']}  {one['log_time']}  {one['detail'] or ''}\n"
            f"  {one['value'] or '(original bytes not in views.rejected)'}"
        )


def replay(reason: Reason = None) -> None:
    """Send refused events to views.raw again, after a fix; each one once.

    They are judged by the time at which they first came in. What is refused again stays refused.
    """
    from pipeline.drain import DrainError
    from pipeline.rejected import RejectedError
    from pipeline.rejected_replay import replay_rejected

    _check(reason)
    if reason == "duplicate":
        raise Problem("duplicates are not kept: the event they repeat was accepted")
    try:
        with service_problems():
            done = replay_rejected(settings(), reason)
    except (DrainError, RejectedError) as error:
        raise Problem(str(error)) from None
    typer.echo(f"{done.sent:,} events sent again.")
    for events, why in (
        (done.sent_before, "were sent again before"),
        (done.accepted_before, "not sent: the same event was accepted since"),
        (done.unconfirmed, "not sent: not in the log yet; run `viewledger drain`, then this again"),
    ):
        if events:
            typer.echo(f"{events:,} {why}.")


def _check(reason: str | None) -> None:
    from schemas.verdicts import Refusal

    labels = [refusal.label for refusal in Refusal]
    if reason is not None and reason not in labels:
        raise Problem(f"no events are refused for {reason!r}; the reasons are {', '.join(labels)}")


def _examples(client: Any, reason: str, limit: int) -> list[dict[str, Any]]:
    from pipeline.rejected import excerpt, find_messages
    from sinks.rejected import newest

    found = newest(client, reason, limit)
    messages = {}
    if found and reason != "duplicate":  # whose bytes are not kept
        # A message is written after its event came in, by another clock.
        since = min(int(one.log_time.timestamp() * 1000) for one in found) - _CLOCKS_MS
        messages = find_messages(
            settings(), {(one.partition, one.raw_offset) for one in found}, since
        )
    examples = []
    for one in found:
        message = messages.get((one.partition, one.raw_offset))
        examples.append(
            one._asdict()
            | {
                "log_time": one.log_time.isoformat(timespec="milliseconds"),
                "detail": None if message is None else message.detail,
                "value": None if message is None else excerpt(message.value),
            }
        )
    return examples
