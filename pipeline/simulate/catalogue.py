"""Campaigns, promoters and posts: a few of each do not pay, and say why."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from pipeline.simulate.traffic import Ints
from schemas.catalogue import Campaign, Promoter
from schemas.verdicts import Refusal

PLATFORMS = ("tiktok", "instagram", "youtube", "web")
_PLATFORM_SHARES = (0.45, 0.3, 0.15, 0.1)
_RATES = np.array([500, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 12_000, 20_000])
_BRANDS = ("nordlys", "almond", "pixelbay", "verde", "kitebird", "solano", "umbra", "fjordline")
_THINGS = ("sneakers", "espresso", "skincare", "headphones", "festival", "app", "bikes", "games")
_NAMES = ("mia", "luca", "sofia", "noah", "yuki", "priya", "diego", "emma", "omar", "lena")
_TOPICS = ("travels", "cooks", "fit", "plays", "draws", "daily", "style", "tech", "garden", "vlogs")
# Far apart, because a replay moves the views to its own day.
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNPAID_SHARE = 0.004
"""Of all traffic, for each kind of campaign or promoter that is not (or no longer) paid."""
_UNKNOWN_SHARE = 0.0005


class Posts(NamedTuple):
    """Posts, those of one promoter side by side; all arrays have one row per post."""

    post_id: list[str]
    campaign_id: list[str]
    promoter_id: list[str]
    platform: npt.NDArray[np.int64]
    duration_ms: Ints
    weight: npt.NDArray[np.float64]
    """Share of the traffic of people."""
    refusal: npt.NDArray[np.uint8]
    """`schemas.verdicts.Refusal` of its views, 0 where they are accepted."""
    first: Ints
    """Row of the first post of each paid promoter; its posts end where the next one's start
    (one row more than there are paid promoters)."""


class Catalogue(NamedTuple):
    """What there is to watch."""

    campaigns: list[Campaign]
    promoters: list[Promoter]
    posts: Posts


def make_catalogue(rng: np.random.Generator, events: int) -> Catalogue:
    """A catalogue of a size that suits the number of events."""
    n_promoters = int(np.clip(events**0.4, 12, 1_000))
    n_campaigns = int(np.clip(events**0.25, 6, 40))
    campaigns = _campaigns(rng, n_campaigns)
    names = _names(rng, n_promoters + 1, _NAMES, _TOPICS)
    promoters = [Promoter(promoter_id=name, status="active") for name in names[:-1]]
    promoters.append(Promoter(promoter_id=names[-1], status="suspended"))
    posts = _posts(rng, campaigns, promoters)
    _limit_one_budget(campaigns, posts, events)
    return Catalogue(campaigns, promoters, posts)


def _names(
    rng: np.random.Generator, n: int, firsts: tuple[str, ...], seconds: tuple[str, ...]
) -> list[str]:
    pairs = [f"{first}-{second}" for first in firsts for second in seconds]
    order = rng.permutation(len(pairs))
    return [pairs[order[i % len(pairs)]] + f"-{i // len(pairs) + 1:02d}" for i in range(n)]


def _campaigns(rng: np.random.Generator, n: int) -> list[Campaign]:
    """`n` running campaigns, then one that has ended, one paused, and one yet to start."""
    names = _names(rng, n + 3, _BRANDS, _THINGS)
    rates = rng.choice(_RATES, n + 3)
    always = [
        Campaign(
            campaign_id=name,
            currency="USD" if i % 3 == 2 else "EUR",
            rate_micros=int(rate),
            budget_micros=int(rate) * 1_000_000_000,
            starts_at=_FIRST,
            ends_at=_LAST,
            status="active",
        )
        for i, (name, rate) in enumerate(zip(names, rates, strict=True))
    ]
    ended, paused, future = always[n:]
    return [
        *always[:n],
        replace(ended, ends_at=datetime(2020, 1, 1, tzinfo=UTC)),
        replace(paused, status="paused"),
        replace(future, starts_at=datetime(2099, 1, 1, tzinfo=UTC)),
    ]


def _posts(rng: np.random.Generator, campaigns: list[Campaign], promoters: list[Promoter]) -> Posts:
    n_campaigns, n_promoters = len(campaigns) - 3, len(promoters) - 1
    per_promoter = rng.geometric(0.25, n_promoters)
    promoter = np.repeat(np.arange(n_promoters), per_promoter)
    weight = (rng.pareto(1.2, n_promoters) + 0.05)[promoter] * (
        rng.pareto(1.5, len(promoter)) + 0.1
    )
    # Every campaign has a post, the rest goes where the money is.
    campaign = rng.choice(n_campaigns, len(promoter), p=rng.dirichlet(np.full(n_campaigns, 2.0)))
    campaign[rng.permutation(len(promoter))[:n_campaigns]] = np.arange(n_campaigns)
    ids = [
        (campaigns[c].campaign_id, promoters[p].promoter_id, 0)
        for c, p in zip(campaign, promoter, strict=True)
    ]
    paid, suspended = promoters[0].promoter_id, promoters[-1].promoter_id
    unpaid = [
        (campaigns[-3].campaign_id, paid, Refusal.CAMPAIGN_ENDED, _UNPAID_SHARE),
        (campaigns[-2].campaign_id, paid, Refusal.CAMPAIGN_PAUSED, _UNPAID_SHARE),
        (campaigns[-1].campaign_id, paid, Refusal.CAMPAIGN_NOT_STARTED, _UNPAID_SHARE),
        (campaigns[0].campaign_id, suspended, Refusal.PROMOTER_SUSPENDED, _UNPAID_SHARE),
        ("meridian-mugs-01", paid, Refusal.UNKNOWN_CAMPAIGN, _UNKNOWN_SHARE),
        (campaigns[0].campaign_id, "zoe-sails-01", Refusal.UNKNOWN_PROMOTER, _UNKNOWN_SHARE),
    ]
    rest = 1 - sum(share for *_, share in unpaid)
    ids += [(c, p, int(refusal)) for c, p, refusal, _ in unpaid]
    n = len(ids)
    return Posts(
        post_id=[raw.hex() for raw in (rng.bytes(6) for _ in range(n))],
        campaign_id=[c for c, _, _ in ids],
        promoter_id=[p for _, p, _ in ids],
        platform=rng.choice(4, n, p=_PLATFORM_SHARES),
        duration_ms=(np.clip(rng.lognormal(np.log(24), 0.7, n), 5, 600) * 1000).astype(np.int64),
        weight=np.append(rest * weight / weight.sum(), [share for *_, share in unpaid]),
        refusal=np.array([refusal for _, _, refusal in ids], np.uint8),
        first=np.append(np.cumsum(per_promoter) - per_promoter, len(promoter)),
    )


def _limit_one_budget(campaigns: list[Campaign], posts: Posts, events: int) -> None:
    """Gives one campaign a budget for about a third of its views."""
    name = campaigns[1].campaign_id
    of_it = np.array(posts.campaign_id) == name
    views = max(1, int(posts.weight[of_it].sum() * events * 0.25))
    campaigns[1] = replace(campaigns[1], budget_micros=campaigns[1].rate_micros * views)
