"""Rates of campaigns: they are added, for what will be viewed, and never changed."""

from collections.abc import Mapping
from datetime import datetime

from psycopg.errors import IntegrityConstraintViolation, UniqueViolation

from schemas.catalogue import Rates
from sinks.catalogue_file import MAX_RATE_MICROS, CatalogueError
from sinks.postgres import Connection


def add_rates(conn: Connection, rates: Mapping[str, int]) -> None:
    """Adds rates (micros by campaign) that are valid from now on; the first one always was."""
    if not rates:
        return
    conn.execute(
        """
        INSERT INTO campaign_rates (campaign_id, valid_from, rate_micros)
        SELECT campaign_id, CASE WHEN campaign_id IN (SELECT campaign_id FROM campaign_rates)
            THEN clock_timestamp() ELSE '-infinity' END, rate_micros
        FROM unnest(%s::text[], %s::bigint[]) AS wanted (campaign_id, rate_micros)
        """,
        (list(rates), list(rates.values())),
    )


def add_rate(
    conn: Connection, campaign_id: str, rate_micros: int, valid_from: datetime | None
) -> datetime:
    """Adds a rate of a known campaign for what is viewed from a time on, by default from now on.

    Returns:
        From when on it is valid.

    Raises:
        CatalogueError: an unknown campaign, a rate out of range, a time that has passed, or one
            that has a rate already.
    """
    if not 1 <= rate_micros <= MAX_RATE_MICROS:
        raise CatalogueError(
            f"the rate is {rate_micros}; it must be from 1 to {MAX_RATE_MICROS} micros per view"
        )
    with conn.transaction():
        conn.execute("SELECT FROM catalogue_version FOR UPDATE")
        if not conn.execute(
            "SELECT FROM campaigns WHERE campaign_id = %s", (campaign_id,)
        ).rowcount:
            raise CatalogueError(
                f"campaign {campaign_id!r} is not in the catalogue: import it first"
            )
        try:
            row = conn.execute(
                "INSERT INTO campaign_rates (campaign_id, valid_from, rate_micros)"
                " VALUES (%s, coalesce(%s, clock_timestamp()), %s) RETURNING valid_from",
                (campaign_id, valid_from, rate_micros),
            ).fetchone()
        except UniqueViolation:
            raise CatalogueError(
                f"campaign {campaign_id!r} has a rate from {valid_from} on: it cannot be changed; "
                "choose another time"
            ) from None
        except IntegrityConstraintViolation:
            raise CatalogueError(
                f"{valid_from} has passed: a rate of campaign {campaign_id!r} can only be added "
                "for the future; leave the time out for from now on"
            ) from None
    assert row is not None
    since: datetime = row[0]
    return since


def changed_rates(conn: Connection) -> dict[str, Rates]:
    """The rates of the campaigns that have more than one."""
    rows = conn.execute(
        """
        SELECT campaign_id, array_agg(since ORDER BY since), array_agg(rate_micros ORDER BY since)
        FROM campaign_rates CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(valid_from)
            THEN ceil(extract(epoch FROM valid_from) * 1000)::bigint
            ELSE (-9223372036854775807)::bigint END AS since)
        GROUP BY campaign_id HAVING count(*) > 1
        """
    )
    return {campaign_id: Rates(tuple(since), tuple(rates)) for campaign_id, since, rates in rows}
