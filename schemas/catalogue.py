"""Campaigns and promoters: what may be watched, for how much, and for whom."""

from bisect import bisect_right
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from schemas.chosen import Chosen
from schemas.erased import Erased
from schemas.operator_lists import OperatorLists

CampaignStatus = Literal["active", "paused", "ended"]
PromoterStatus = Literal["active", "suspended"]


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a campaign catalogue (CSV with a header, or JSON lines)."""

    campaign_id: str
    currency: str
    rate_micros: int
    """Micro-units of the currency per valid view, for what is viewed now."""
    budget_micros: int
    starts_at: datetime
    ends_at: datetime
    status: CampaignStatus
    fee_bp: int = 0
    """Basis points of the rate that the platform keeps."""
    daily_budget_micros: int | None = None
    """Most that the views of one UTC day of the log may cost."""
    hold_hours: int = 72
    """How long what is earned stays pending."""


class Promoter(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a promoter catalogue."""

    promoter_id: str
    status: PromoterStatus


class Rates(NamedTuple):
    """Rates of one campaign, oldest first; a rate is valid until the next one."""

    valid_from_ms: tuple[int, ...]
    """Of `viewed_at`; ascending, and the first one lies before every view."""
    rate_micros: tuple[int, ...]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All campaigns and promoters at one version of the catalogue."""

    version: int
    campaigns: dict[str, Campaign]
    promoters: dict[str, Promoter]
    rates: dict[str, Rates] = {}
    """Of the campaigns that have more than one; the others cost their `rate_micros` at any time."""
    erased: Erased = Erased()
    """Viewers whose events are taken without saying whose they are."""
    models: Chosen = Chosen()
    """By which models views are judged."""
    listed: OperatorLists = OperatorLists()
    """Whom the operator allows and denies."""

    def rate_at(self, campaign_id: str, viewed_at: int) -> int:
        """The rate of a known campaign in micros, for a view at this time (ms)."""
        rates = self.rates.get(campaign_id)
        if rates is None:
            return self.campaigns[campaign_id].rate_micros
        return rates.rate_micros[bisect_right(rates.valid_from_ms, viewed_at) - 1]
