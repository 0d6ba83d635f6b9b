"""Budgets in the ledger: what the catalogue says a campaign may spend is credited to it."""

from psycopg.rows import dict_row

from schemas.catalogue import Campaign
from schemas.money import format_micros
from sinks.catalogue_file import CatalogueError
from sinks.ledger import Entry, Journal, lock_balances, open_accounts, post
from sinks.postgres import Connection

_SHOWN = 20


def fund(conn: Connection, campaigns: list[Campaign]) -> None:
    """Books the difference between each budget and what was funded before.

    Works inside the transaction that saved the campaigns: their version makes the journal's key.

    Raises:
        CatalogueError: a budget would be less than what is spent of it.
    """
    owners = {(campaign.campaign_id, campaign.currency): campaign for campaign in campaigns}
    budgets = open_accounts(conn, "campaign_budget", owners)
    sources = open_accounts(conn, "campaign_funding", owners)
    left = lock_balances(conn, budgets.values())
    funded = lock_balances(conn, sources.values())
    (version,) = conn.execute("SELECT version FROM catalogue_version").fetchall()[0]
    problems, journals = [], []
    for owner, campaign in owners.items():
        source, budget = sources[owner], budgets[owner]
        spent = -funded[source] - left[budget]
        difference = campaign.budget_micros + funded[source]
        if campaign.budget_micros < spent:
            problems.append(
                f"campaign {campaign.campaign_id!r}: the budget cannot become "
                f"{format_micros(campaign.budget_micros, campaign.currency)}, because "
                f"{format_micros(spent, campaign.currency)} is spent; "
                "that is the least it can be, and status paused stops the campaign"
            )
        elif difference:
            journals.append(
                Journal(
                    "funding",
                    f"funding:{version}:{campaign.campaign_id}",
                    f"budget of {campaign.campaign_id} set to {campaign.budget_micros} micros",
                    (Entry(source, -difference), Entry(budget, difference)),
                )
            )
    _refuse(problems)
    post(conn, journals)


def refuse_other_currency(
    conn: Connection, known: list[Campaign], wanted: dict[str, Campaign]
) -> None:
    """Refuses another currency where the old one is in the ledger.

    Args:
        known: the campaigns that change, as they are now.
        wanted: as they shall be, by id.

    Raises:
        CatalogueError: money of a campaign was funded or booked.
    """
    moved = [was for was in known if was.currency != wanted[was.campaign_id].currency]
    rows = conn.execute(
        """
        SELECT owner_id FROM accounts JOIN entries USING (account_id)
            WHERE kind = 'campaign_budget' AND owner_id = ANY (%(ids)s)
        UNION SELECT campaign_id FROM accruals WHERE campaign_id = ANY (%(ids)s)
        """,
        {"ids": [was.campaign_id for was in moved]},
    )
    funded = {campaign_id for (campaign_id,) in rows}
    problems = [
        f"campaign {was.campaign_id!r}: its currency is {was.currency} and cannot become "
        f"{wanted[was.campaign_id].currency}, because money was funded or booked; "
        "make a new campaign"
        for was in moved
        if was.campaign_id in funded
    ]
    _refuse(problems)


def _refuse(problems: list[str]) -> None:
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"… and {len(problems) - _SHOWN} more")
        raise CatalogueError("nothing was imported\n  " + "\n  ".join(shown))


def remaining_budgets(conn: Connection) -> list[tuple[Campaign, int]]:
    """Every campaign with the micros that are left of its budget, by id."""
    fields = Campaign.__struct_fields__
    columns = ", ".join(f"campaigns.{name}" for name in fields if name != "rate_micros")
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"""
            SELECT {columns}, rate_micros, coalesce(balance_micros, 0) AS left_micros
            FROM campaigns JOIN current_rates USING (campaign_id)
            LEFT JOIN (accounts JOIN balances USING (account_id))
                ON kind = 'campaign_budget' AND owner_id = campaigns.campaign_id
                AND accounts.currency = campaigns.currency
            ORDER BY campaigns.campaign_id
            """  # noqa: S608
        )
        return [
            (Campaign(**{name: row[name] for name in fields}), row["left_micros"]) for row in cursor
        ]
