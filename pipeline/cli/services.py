"""`up`, `down` and `status`."""

import signal
import time
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pipeline.cli.problems import Problem
from schemas.settings import Settings, settings

_WATCH_S = 1.0


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything runs, and leave it running.")
    ] = False,
) -> None:
    """Start services, topics, tables and workers, and keep them running.

    Without --detach it stays, and Ctrl-C takes everything down.
    """
    from pipeline.embedded.stack import processes, stop

    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    now, mine = settings(), False
    try:
        mine = bring_up(now, typer.echo)
        if detach or not mine:
            return
        typer.echo("Ctrl-C takes everything down.")
        while processes(now):
            time.sleep(_WATCH_S)
        mine = False
        if stop(now):  # after a `down` that is still at it, nothing is left
            raise Problem(f"the supervisor died; its log is in {now.data / 'logs'}")
        typer.echo("Everything was taken down by `viewledger down`.")
    except KeyboardInterrupt:
        raise typer.Exit(0 if mine else 130) from None
    finally:
        if mine and not detach:
            typer.echo("Taking everything down.")
            stop(now)


def bring_up(now: Settings, say: Callable[[str], None]) -> bool:
    """Services, topics, migrations and workers; takes down what it started where it fails.

    Returns False where the services were up already.

    Raises:
        Problem: something does not start; says what.
    """
    from confluent_kafka import KafkaException

    from pipeline.embedded import stack
    from pipeline.embedded.kept import ServiceError
    from pipeline.topics import TopicError, ensure_topics
    from schemas.settings import SERVICES
    from sinks.migrate import MigrationError, migrate_up

    own = [name for name in SERVICES if getattr(now, name) is None]
    begin = time.monotonic()
    say(f"Services of {now.data}: {', '.join(own) or 'none, all are configured'} …")
    started = False
    try:
        started = stack.start_services(now)
        if own:
            say("They are up." if started else "They were up already.")
        ensure_topics(now)
        migrate_up(now)
        say("Topics and tables are there.")
        stack.start_workers(now)
        say(f"Workers are started. ({time.monotonic() - begin:.1f} s)")
    except BaseException as error:
        if started:
            stack.stop(now)
        if isinstance(error, (ServiceError, TopicError, MigrationError, KafkaException, OSError)):
            raise Problem(str(error)) from error
        raise
    return started


def down() -> None:
    """Stop the workers and the services of the data folder."""
    from pipeline.embedded.stack import stop

    now = settings()
    typer.echo(f"Stopped {now.data}." if stop(now) else f"Nothing was running in {now.data}.")


def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs; URLs are complete, with passwords.")
    ] = False,
) -> None:
    """Show what runs, where it answers, and how far behind the workers are."""
    import json

    from pipeline.embedded.status import status as find

    found = find(settings())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    pending = {name: url for name, url in found["endpoints"].items() if url}
    rows = [("name", "state", "pid", "lag", "address")]
    for process in found["services"] + found["workers"]:
        lag = process.get("lag")
        rows.append(
            (
                process["name"],
                process["state"].lower(),
                str(process["pid"] or "-"),
                "" if lag is None else f"{lag:,}",
                mask_password(pending.pop(process["name"], "")),
            )
        )
    rows += [(name, "configured", "-", "", mask_password(url)) for name, url in pending.items()]
    for name, state, pid, lag, address in rows:
        typer.echo(f"{name:<12}{state:<12}{pid:<9}{lag:>9}  {address}".rstrip())
    if len(rows) == 1:
        typer.echo(f"Nothing runs in {settings().data}: start it with `viewledger up`.")


def mask_password(url: str) -> str:
    """A URL with stars for its password, and without its options."""
    if not url:
        return ""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username or ''}:***@" if parts.password else ""
    return f"{parts.scheme}://{user}{host}{parts.path}"
