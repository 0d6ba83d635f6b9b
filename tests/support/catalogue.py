"""A catalogue that never changes, in place of the one in Postgres."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from support.events import NOW

from schemas.catalogue import Campaign, Catalogue, Promoter

HOUR = 3_600_000


def campaign(campaign_id: str, status: Any = "active") -> Campaign:
    """A campaign that runs around NOW."""
    starts, ends = ((NOW + days * 24 * HOUR) / 1000 for days in (-60, 60))
    return Campaign(
        campaign_id=campaign_id,
        currency="EUR",
        rate_micros=2_500,
        budget_micros=10**9,
        starts_at=datetime.fromtimestamp(starts, UTC),
        ends_at=datetime.fromtimestamp(ends, UTC),
        status=status,
    )


CATALOGUE = Catalogue(
    version=1,
    campaigns={"c-1": campaign("c-1"), "paused": campaign("paused", "paused")},
    promoters={"p-1": Promoter(promoter_id="p-1", status="active")},
)


class FixedCatalogue:
    """In the place of `pipeline.score.catalogue.CatalogueCache`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def current(
        self, _campaigns: Collection[str], _promoters: Collection[str], _since: float
    ) -> Catalogue:
        """The catalogue."""
        return self._catalogue
