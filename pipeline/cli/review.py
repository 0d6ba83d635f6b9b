"""`review`: what waits for a person, what the person decides, and what can be learned from it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli import review_say as say
from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from sinks.clickhouse import Client
    from sinks.postgres import Connection

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

review = typer.Typer(
    help="Held views and promoters under suspicion: what waits for a person.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(review, name="review")


@review.command("list")
def list_all(
    held: Annotated[bool, typer.Option("--held", help="Only held views.")] = False,
    promoters: Annotated[
        bool, typer.Option("--promoters", help="Only promoters under suspicion.")
    ] = False,
    promoter: Annotated[
        str | None,
        typer.Option(help="Single views of this promoter, with their ids.", show_default=False),
    ] = None,
    days: Annotated[float, typer.Option(min=0.01, help="How far back evidence is read.")] = 7,
    limit: Annotated[int, typer.Option(min=1, help="How many rows of each to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what waits: held views in groups, and promoters whose traffic stands out.

    docs/review.md says by which rule a promoter is listed.
    """
    import msgspec

    from pipeline.review_thresholds import known_thresholds
    from sinks.review_decide import check_known
    from sinks.review_queue import held_groups, held_views
    from sinks.review_suspects import find_suspects, near_views

    both = held == promoters
    until = datetime.now(UTC)
    since = until - timedelta(days=days)
    thresholds = known_thresholds(settings().models) if both or promoters else {}
    found: dict[str, object] = {}
    lines: list[str] = []
    with _review() as (conn, client):
        if promoter is not None:
            check_known(conn, promoter)
        if promoter is not None and (both or held):
            waiting = held_views(client, promoter, limit)
            found["held_views"] = waiting
            lines += say.say_views(waiting, "Held, the oldest first", limit)
        elif both or held:
            groups = held_groups(client)
            found["held"] = groups[:limit]
            lines += say.say_groups(groups, limit)
        if promoter is not None and (both or promoters):
            near = near_views(client, conn, promoter, since, until, thresholds, limit)
            found["near_views"] = near
            lines += say.say_views(near, "Paid, the nearest to the threshold first", limit)
        elif both or promoters:
            suspects = find_suspects(client, conn, since, until, thresholds)
            found["promoters"] = suspects[:limit]
            lines += say.say_suspects(suspects, limit, days)
    if as_json:
        _echo_json(msgspec.to_builtins(found))
        return
    typer.echo("\n".join(lines))


@review.command("decide")
def decide(
    verdict: Annotated[
        Literal["valid", "invalid"],
        typer.Option("--as", help="valid: a person watched; invalid: a bot.", show_default=False),
    ],
    by: Annotated[str, typer.Option("--by", help="Who decides.", show_default=False)],
    note: Annotated[str, typer.Option(help="Why; no personal data.", show_default=False)],
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT_ID…]", show_default=False)
    ] = None,
    promoter: Annotated[
        str | None,
        typer.Option(help="All held views of this promoter.", show_default=False),
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(help="With --promoter: in this campaign.", show_default=False)
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="With --promoter: log time; UTC.", show_default=False)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="With --promoter: log time; UTC. Default: now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide views: single ones, or all that are held of a promoter. It stands, and moves money.

    The same again changes nothing. Ends with 1 where a view was decided otherwise before, or is
    not known.
    """
    import msgspec

    from pipeline.review import decide_events, decide_held
    from sinks.review_decide import Decision, check_known
    from sinks.review_find import Held
    from sinks.review_money import moved_by
    from sinks.review_record import Review, decided_before
    from sinks.settle import SettleError

    _check_choice(event_ids, promoter, [campaign, since, until])
    made = Review(verdict, by, note)
    given = event_ids or []
    first = datetime(1970, 1, 1, tzinfo=UTC) if since is None else _utc(since)
    last = datetime.now(UTC) if until is None else _utc(until)
    held = None if promoter is None else Held(promoter, campaign, first, last)
    done: list[Decision] = []
    with _review() as (conn, client):
        if held is not None:
            check_known(conn, held.promoter_id, held.campaign_id)
        if held is None:
            decisions = decide_events(settings(), conn, client, given, made)
        else:
            decisions = decide_held(settings(), conn, client, held, made)
        problem = None
        try:
            for one in decisions:
                done.append(one)
        except SettleError as error:  # those before it are decided
            problem = Problem(str(error))
        moved = moved_by(conn, done)
        before = decided_before(conn, held) if held and not (done or problem) else {}
    if as_json:
        money = [one._asdict() for one in moved]
        _echo_json({"decisions": msgspec.to_builtins(done), "money": money})
    else:
        lines = [*say.say_decisions(done, single=held is None), *say.say_money(moved)]
        if held and not (done or problem):
            lines += say.say_nothing_held(held, before)
        for line in lines:
            typer.echo(line)
    if problem:
        raise problem
    missing = sorted(set(given) - {one.event_id for one in done})
    for event_id in missing:
        typer.echo(f"{event_id}: there is no such view in ClickHouse", err=True)
    if missing or any(one.outcome == "refused" for one in done):
        raise typer.Exit(1)


@review.command("labels")
def labels(
    out: Annotated[
        Path | None, typer.Option(help="File to write; else it is printed.", show_default=False)
    ] = None,
) -> None:
    """Decisions as labels, as CSV: for `models evaluate --labels` and for training."""
    import csv
    import sys

    from sinks.review_labels import HEADER, load_labels

    with _review() as (conn, _):
        rows = list(load_labels(conn))
    try:
        if out is None:
            csv.writer(sys.stdout, lineterminator="\n").writerows([HEADER, *rows])
            return
        with out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}") from None
    typer.echo(f"{len(rows):,} labels in {out}.")


def _check_choice(
    event_ids: list[str] | None, promoter: str | None, narrowing: list[object]
) -> None:
    if bool(event_ids) == (promoter is not None):
        raise Problem("decide either views by event id, or the held ones of a --promoter")
    if promoter is None and any(one is not None for one in narrowing):
        raise Problem("--campaign, --since and --until go with --promoter")


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _echo_json(found: object) -> None:
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@contextmanager
def _review() -> "Iterator[tuple[Connection, Client]]":
    from sinks.clickhouse import connect as connect_clickhouse
    from sinks.postgres import connect
    from sinks.review_decide import ReviewError
    from sinks.settle import SettleError

    try:
        with (
            service_problems(),
            connect(settings(), "viewledger-review") as conn,
            connect_clickhouse(settings().url("clickhouse")) as client,
        ):
            yield conn, client
    except (ReviewError, SettleError) as error:
        raise Problem(str(error)) from None
