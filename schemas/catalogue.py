"""Campaigns and promoters: what may be watched, for how much, and for whom."""

from datetime import datetime
from typing import Literal

import msgspec

CampaignStatus = Literal["active", "paused", "ended"]
PromoterStatus = Literal["active", "suspended"]


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a campaign catalogue (CSV with a header, or JSON lines)."""

    campaign_id: str
    currency: str
    rate_micros: int
    """Micro-units of the currency per valid view."""
    budget_micros: int
    starts_at: datetime
    ends_at: datetime
    status: CampaignStatus


class Promoter(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a promoter catalogue."""

    promoter_id: str
    status: PromoterStatus


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All campaigns and promoters at one version of the catalogue."""

    version: int
    campaigns: dict[str, Campaign]
    promoters: dict[str, Promoter]
