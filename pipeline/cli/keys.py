"""`keys`: who may send events to the collector. A token is printed once and kept nowhere."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

if TYPE_CHECKING:
    from schemas.api_key import Token
    from sinks.api_keys import ShownKey
    from sinks.postgres import Connection

By = Annotated[
    str | None, typer.Option("--by", help="Who does this. [default: the user of this machine]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", show_default=False)]

keys = typer.Typer(help="Who may send events to the collector.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.add_typer(keys, name="keys")


@keys.command("create")
def create(
    name: Annotated[str, typer.Option(help="What it is for.", show_default=False)],
    publishable: Annotated[
        bool, typer.Option("--publishable", help="For pages: bound to their origins.")
    ] = False,
    secret: Annotated[bool, typer.Option("--secret", help="For servers: signs requests.")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Of pages, as in https://www.example.com; may be repeated."),
    ] = None,
    campaign: Annotated[
        list[str] | None,
        typer.Option(help="That it may send views of; may be repeated. [default: all]"),
    ] = None,
    events_per_minute: Annotated[
        int | None,
        typer.Option(help="Its quota. [default: VIEWLEDGER_KEY_EVENTS_PER_MINUTE]"),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its token, this once."""
    from pipeline.collector.seal_keys import collector_keys
    from sinks.api_keys import create_key

    if publishable == secret:
        raise Problem("say which kind of key: --publishable for pages or --secret for servers")
    with _keys() as conn:
        token = create_key(
            conn,
            collector_keys(settings()),
            "publishable" if publishable else "secret",
            name=name,
            actor=_actor(by),
            origins=origin or (),
            campaigns=campaign or (),
            events_per_minute=events_per_minute,
        )
    _echo_token(token, as_json)


@keys.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show all keys; their tokens are not kept."""
    import msgspec

    from sinks.api_keys import list_keys

    with _keys() as conn:
        found = list_keys(conn)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))
        return
    typer.echo(f"{'id':<12} {'kind':<11} {'name':<24} {'per minute':>10}  {'state':<34} bound to")
    for key in found:
        quota = "default" if key.events_per_minute is None else f"{key.events_per_minute:,}"
        typer.echo(
            f"{key.key_id:<12} {key.kind:<11} {key.name:<24} {quota:>10}  {_state(key):<34} "
            f"{' '.join(key.origins + key.campaigns)}".rstrip()
        )


@keys.command("rotate")
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[
        float, typer.Option(help="For how long the old one stays good.", min=0)
    ] = 24,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make the successor of a key and print its token, this once."""
    from pipeline.collector.seal_keys import collector_keys
    from sinks.api_keys import MOST_GRACE, rotate_key

    if grace_hours > MOST_GRACE / timedelta(hours=1):  # it can be too many for any timedelta
        raise Problem(f"the grace is {grace_hours:g} hours; it must be 0 to {MOST_GRACE.days} days")
    grace = timedelta(hours=grace_hours)
    with _keys() as conn:
        token = rotate_key(conn, collector_keys(settings()), key_id, actor=_actor(by), grace=grace)
    _echo_token(token, as_json)
    typer.echo(f"{key_id} is good for another {grace_hours:g} hours.", err=True)


@keys.command("revoke")
def revoke(key_id: KeyId, by: By = None) -> None:
    """End a key for ever, within seconds."""
    from sinks.api_keys import revoke_key

    with _keys() as conn:
        key = revoke_key(conn, key_id, actor=_actor(by))
    typer.echo(f"{key.kind} key {key_id}, {key.name!r}, is revoked.")


@keys.command("reseal")
def reseal() -> None:
    """Seal what secret keys sign with by the first of VIEWLEDGER_COLLECTOR_KEYS; can be repeated.

    Afterwards the others are needed for backups only. The collectors must know the first one.
    """
    from pipeline.collector.seal_keys import collector_keys
    from sinks.api_key_reseal import reseal_keys
    from sinks.sealing import first_key

    with _keys() as conn:
        seal_keys = collector_keys(settings())
        done = reseal_keys(conn, seal_keys)
    typer.echo(f"{done.resealed:,} API keys sealed with key {first_key(seal_keys)!r}.")
    if done.unreadable:
        listed = "\n  ".join(done.unreadable)
        raise Problem(f"{len(done.unreadable):,} API keys could not be opened\n  {listed}")


@keys.command("new-key")
def new_key() -> None:
    """Print a fresh sealing key as id:base64, to be put first in VIEWLEDGER_COLLECTOR_KEYS."""
    from sinks.sealing import new_key

    typer.echo(new_key())


def _state(key: "ShownKey") -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d} by {key.revoked_by}"
    if key.expires_at is None:
        return "live"
    ends = key.expires_at.astimezone(UTC)
    return f"{'until' if ends > datetime.now(UTC) else 'ended'} {ends:%Y-%m-%d %H:%M} UTC"


def _echo_token(token: "Token", as_json: bool) -> None:
    # The token alone on standard output, so that a script can take it.
    typer.echo(json.dumps({"key_id": token.key_id, "token": token.text}) if as_json else token.text)
    typer.echo(
        f"Key {token.key_id} is good after some seconds. Keep this token: it is not shown again.",
        err=True,
    )


def _actor(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user
        raise Problem("say who does this: --by NAME") from None


@contextmanager
def _keys() -> "Iterator[Connection]":
    from sinks.api_keys import ApiKeyError
    from sinks.postgres import connect
    from sinks.sealing import SealError

    try:
        with service_problems(), connect(settings()) as conn:
            yield conn
    except (ApiKeyError, SealError, OSError, ValueError) as error:
        raise Problem(str(error)) from None
