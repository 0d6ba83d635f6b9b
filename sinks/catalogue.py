"""The catalogue in Postgres, and the budgets that it funds in the ledger."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from psycopg.rows import class_row

from schemas.catalogue import Campaign, Catalogue, Promoter
from sinks.catalogue_file import read_campaigns, read_promoters
from sinks.catalogue_rates import add_rates, changed_rates
from sinks.erasures import load_erased
from sinks.ledger_fund import fund, refuse_other_currency
from sinks.models import load_chosen
from sinks.operator_lists import load_operator_lists
from sinks.postgres import Connection

_COLUMNS = [name for name in Campaign.__struct_fields__ if name != "rate_micros"]
_CAMPAIGNS = (
    f"SELECT rate_micros, {', '.join(_COLUMNS)}"  # noqa: S608
    " FROM campaigns JOIN current_rates USING (campaign_id)"
)
_FROM_NOW_ON = {
    "rate_micros": " for what is viewed from now on",
    "fee_bp": " for what is booked from now on",
}


class Changes(NamedTuple):
    """What became of the rows of one kind."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    details: tuple[str, ...] = ()
    """What was changed, from what to what."""

    def __str__(self) -> str:
        return f"{self.new} new, {self.changed} changed, {self.unchanged} unchanged"


def import_campaigns(conn: Connection, path: Path) -> int:
    """Imports a file of campaigns, all or none; returns how many are in it.

    Raises:
        CatalogueError: the file is wrong, or a change is not possible.
    """
    return sum(save_campaigns(conn, read_campaigns(path))[:3])


def import_promoters(conn: Connection, path: Path) -> int:
    """Imports a file of promoters, all or none; returns how many are in it.

    Raises:
        CatalogueError: the file is wrong.
    """
    return sum(save_promoters(conn, read_promoters(path))[:3])


def save(
    conn: Connection,
    campaigns: Iterable[Campaign],
    promoters: Iterable[Promoter],
    *,
    keep_existing: bool = False,
) -> tuple[int, int]:
    """Saves campaigns and promoters in one transaction; returns how many were new or changed.

    Args:
        keep_existing: leave those alone that are in the catalogue already.

    Raises:
        CatalogueError: a change is not possible.
    """
    with conn.transaction():
        saved_campaigns = save_campaigns(conn, campaigns, keep_existing=keep_existing)
        saved_promoters = save_promoters(conn, promoters, keep_existing=keep_existing)
    return sum(saved_campaigns[:2]), sum(saved_promoters[:2])


def save_campaigns(
    conn: Connection, campaigns: Iterable[Campaign], *, keep_existing: bool = False
) -> Changes:
    """Saves campaigns and sets their budgets in the ledger to what they say.

    Another rate is added to those that a campaign had: it is valid from now on.

    Raises:
        CatalogueError: a currency would change though the budget is funded, or a budget would
            be less than what is spent; nothing was saved.
    """
    wanted = {campaign.campaign_id: campaign for campaign in campaigns}
    with conn.transaction():
        conn.execute("SELECT FROM catalogue_version FOR UPDATE")
        with conn.cursor(row_factory=class_row(Campaign)) as cursor:
            cursor.execute(
                f"{_CAMPAIGNS} WHERE campaign_id = ANY (%s)",
                (list(wanted),),
            )
            known = {campaign.campaign_id: campaign for campaign in cursor}
        new = [campaign for key, campaign in wanted.items() if key not in known]
        changed = [
            campaign
            for key, campaign in wanted.items()
            if not keep_existing and campaign != known.get(key, campaign)
        ]
        refuse_other_currency(conn, [known[campaign.campaign_id] for campaign in changed], wanted)
        _upsert_campaigns(conn, new + changed)
        add_rates(
            conn,
            {
                campaign.campaign_id: campaign.rate_micros
                for campaign in new + changed
                if campaign.campaign_id not in known
                or campaign.rate_micros != known[campaign.campaign_id].rate_micros
            },
        )
        fund(conn, new + changed)
    details = tuple(chain.from_iterable(_details(known[one.campaign_id], one) for one in changed))
    return Changes(len(new), len(changed), len(wanted) - len(new) - len(changed), details)


def _details(was: Campaign, campaign: Campaign) -> Iterator[str]:
    for field in Campaign.__struct_fields__:
        before, after = getattr(was, field), getattr(campaign, field)
        if before != after:
            since = _FROM_NOW_ON.get(field, "")
            yield f"campaign {was.campaign_id!r}: {field} {before} → {after}{since}"


def save_promoters(
    conn: Connection, promoters: Iterable[Promoter], *, keep_existing: bool = False
) -> Changes:
    """Saves promoters, all or none."""
    wanted = {promoter.promoter_id: promoter.status for promoter in promoters}
    with conn.transaction():
        conn.execute("SELECT FROM catalogue_version FOR UPDATE")
        known: dict[str, str] = dict(
            conn.execute(
                "SELECT promoter_id, status FROM promoters WHERE promoter_id = ANY (%s)",
                (list(wanted),),
            ).fetchall()
        )
        new = {key: status for key, status in wanted.items() if key not in known}
        changed = {
            key: status
            for key, status in wanted.items()
            if not keep_existing and status != known.get(key, status)
        }
        if new or changed:
            saved = new | changed
            conn.execute(
                """
                INSERT INTO promoters (promoter_id, status)
                SELECT * FROM unnest(%s::text[], %s::text[])
                ON CONFLICT (promoter_id)
                    DO UPDATE SET status = excluded.status, updated_at = now()
                """,
                (list(saved), list(saved.values())),
            )
    return Changes(len(new), len(changed), len(wanted) - len(new) - len(changed))


def load_catalogue(conn: Connection) -> Catalogue:
    """All campaigns, promoters, erased viewers and chosen models as of one moment."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        version = catalogue_version(conn)
        with conn.cursor(row_factory=class_row(Campaign)) as cursor:
            cursor.execute(_CAMPAIGNS)
            campaigns = {campaign.campaign_id: campaign for campaign in cursor}
        with conn.cursor(row_factory=class_row(Promoter)) as cursor:
            cursor.execute("SELECT promoter_id, status FROM promoters")
            promoters = {promoter.promoter_id: promoter for promoter in cursor}
        rates, erased, chosen = changed_rates(conn), load_erased(conn), load_chosen(conn)
        listed = load_operator_lists(conn)
    return Catalogue(
        version=version,
        campaigns=campaigns,
        promoters=promoters,
        rates=rates,
        erased=erased,
        models=chosen,
        listed=listed,
    )


def catalogue_version(conn: Connection) -> int:
    """A number that is raised with every change of the catalogue."""
    row = conn.execute("SELECT version FROM catalogue_version").fetchone()
    assert row is not None
    version: int = row[0]
    return version


def _upsert_campaigns(conn: Connection, campaigns: list[Campaign]) -> None:
    if not campaigns:
        return
    columns = [[getattr(row, name) for row in campaigns] for name in _COLUMNS]
    conn.execute(
        f"""
        INSERT INTO campaigns ({", ".join(_COLUMNS)})
        SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::timestamptz[],
            %s::timestamptz[], %s::text[], %s::integer[], %s::bigint[], %s::integer[])
        ON CONFLICT (campaign_id) DO UPDATE SET updated_at = now(),
            {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])}
        """,  # noqa: S608
        columns,
    )
