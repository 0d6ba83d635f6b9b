"""`campaigns rate`, `fund` and `refund`: money rules of one campaign, without a file."""

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.catalogue import campaigns, catalogue
from pipeline.cli.problems import Problem

if TYPE_CHECKING:
    from sinks.campaign_money import Moved

Campaign = Annotated[str, typer.Argument(help="campaign_id.", show_default=False)]
Key = Annotated[
    str | None,
    typer.Option(help="Once per key: repeat a command with its key, and it is not done twice."),
]


def register(_: typer.Typer) -> None:
    """Adds the commands of this file to `campaigns`."""
    campaigns.command("rate")(rate)
    campaigns.command("fund")(fund)
    campaigns.command("refund")(refund)


def rate(
    campaign: Campaign,
    rate_micros: Annotated[int, typer.Argument(help="Micros of the currency per valid view.")],
    start: Annotated[
        str | None, typer.Option("--from", help="ISO 8601; UTC without a zone. [default: now]")
    ] = None,
) -> None:
    """Add a rate for what is viewed from now on, or from a time in the future."""
    from sinks.catalogue_rates import add_rate

    with catalogue() as conn:
        since = add_rate(conn, campaign, rate_micros, None if start is None else _instant(start))
    at = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    typer.echo(
        f"Campaign {campaign}: {rate_micros} micros per valid view that is viewed from {at}."
    )


def fund(
    campaign: Campaign,
    amount: Annotated[str, typer.Argument(help="In the campaign's currency, such as 1234.56.")],
    key: Key = None,
) -> None:
    """Add to a campaign's budget."""
    from sinks.campaign_money import fund_campaign

    key = _chosen(key)
    with catalogue() as conn:
        moved = fund_campaign(conn, campaign, _micros(amount), key)
    _say("Funded", campaign, moved)


def refund(
    campaign: Campaign,
    amount: Annotated[
        str | None, typer.Argument(help="In the campaign's currency. [default: all that is left]")
    ] = None,
    key: Key = None,
) -> None:
    """Take back what is left of a campaign's budget, or a part of it."""
    from sinks.campaign_money import refund_campaign

    key = _chosen(key)
    with catalogue() as conn:
        wanted = None if amount is None else _micros(amount)
        moved = refund_campaign(conn, campaign, wanted, key)
    _say("Refunded", campaign, moved)


def _chosen(key: str | None) -> str:
    if key is None:
        key = str(uuid.uuid4())
        # Before anything is done: whoever sees no answer can ask again with it.
        typer.echo(f"Key {key}")
    return key


def _say(what: str, campaign: str, moved: "Moved") -> None:
    from schemas.money import format_micros

    amount, left = (
        format_micros(micros, moved.currency) for micros in (moved.amount_micros, moved.left_micros)
    )
    done = " before, nothing was done now" if moved.repeated else ""
    typer.echo(
        f"{what} {campaign}: {amount}{done}. Left in the budget: {left}. "
        f"Journal {moved.journal_id}."
    )


def _micros(amount: str) -> int:
    from schemas.money import parse_amount

    try:
        return parse_amount(amount)
    except ValueError as error:
        raise Problem(str(error)) from None


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(
            f"--from is {text!r}; it must be an ISO 8601 time such as 2026-12-01T00:00:00Z"
        ) from None
