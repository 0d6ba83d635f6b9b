"""What `review` prints."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from schemas.money import format_micros

if TYPE_CHECKING:
    from sinks.review_decide import Decision
    from sinks.review_find import Held
    from sinks.review_money import Moved
    from sinks.review_queue import HeldGroup, ListedView
    from sinks.review_suspects import Evidence, Suspect

_KINDS = {
    "near": "paid, near the threshold",
    "model": "invalid by the model",
    "hindsight": "taken back by settlement",
}


def say_groups(groups: "Sequence[HeldGroup]", limit: int) -> Iterator[str]:
    """Held views by promoter, campaign and reason."""
    if not groups:
        yield "No view is held."
        return
    yield f"{sum(one.views for one in groups):,} views are held:"
    for one in groups[:limit]:
        yield (
            f"  {one.promoter_id:<24} {one.campaign_id:<24} {one.views:>9,} views "
            f"{format_micros(one.micros, one.currency):>22}  since {one.oldest:%Y-%m-%d %H:%M}  "
            f"{', '.join(one.reasons)}"
        )
    yield from _more(len(groups) - limit, "groups")


def say_suspects(suspects: "Sequence[Suspect]", limit: int, days: float) -> Iterator[str]:
    """Promoters under suspicion, with the figures."""
    if not suspects:
        yield f"No promoter stands out in the last {days:g} days."
        return
    yield f"{len(suspects):,} promoters stand out in the last {days:g} days:"
    for one in suspects[:limit]:
        unpaid = ", ".join(format_micros(*found[::-1]) for found in one.unpaid_micros.items())
        yield (
            f"  {one.promoter_id}: {one.views:,} views, {one.excess:,.0f} more than usual are bad; "
            f"not paid out yet: {unpaid or 'nothing'}"
        )
        for evidence in one.evidence:
            yield f"    {_say_evidence(evidence)}"
        if one.reviewed:
            yield f"    reviewed: {one.reviewed:,} views, {one.found_invalid:,} of them invalid"
    yield from _more(len(suspects) - limit, "promoters")


def _say_evidence(one: "Evidence") -> str:
    return (
        f"{'*' if one.listed else ' '} {_KINDS[one.kind]:<26} {one.views:>8,} views "
        f"{one.share:>7.2%} (at least {one.at_least:.2%}), of all others {one.others:.2%}"
    )


def say_views(views: "Sequence[ListedView]", what: str, limit: int) -> Iterator[str]:
    """Single views."""
    yield f"{what}: {'none' if not views else ''}".rstrip()
    for one in views:
        score = "" if one.score is None else f"  score {one.score:.4f}"
        reasons = f"  {', '.join(one.reasons)}" if one.reasons else ""
        yield (
            f"  {one.event_id}  {one.log_time:%Y-%m-%d %H:%M:%S}  {one.campaign_id}  {one.platform}"
            f"  {one.watch_ms / 1000:.1f} s  {format_micros(one.rate_micros, one.currency)}"
            f"{score}{reasons}"
        )
    if len(views) == limit:
        yield "  there may be more: --limit"


def say_decisions(decisions: "Sequence[Decision]", *, single: bool) -> Iterator[str]:
    """What became of each view, or in sum; what was refused is said of each."""
    for one in decisions:
        if single or one.outcome == "refused":
            yield f"{one.event_id}: {_say_decision(one)}"
    if not single:
        count = Counter(_say_decision(one) for one in decisions if one.outcome != "refused")
        for said, views in count.most_common():
            yield f"{views:,} views: {said}"


def _say_decision(one: "Decision") -> str:
    if one.outcome in ("repeated", "refused"):
        return f"{'NOT CHANGED, it' if one.outcome == 'refused' else 'nothing to do:'} {one.says}"
    says = f" ({one.says})" if one.says else ""
    if one.outcome == "upheld":
        return f"{one.became}, as it was{says}"
    return f"{one.was} became {one.became}{says}"


def say_money(moved: "Sequence[Moved]") -> Iterator[str]:
    """What was booked and where money was taken from."""
    for one in moved:

        def say(micros: int, currency: str = one.currency) -> str:
            return format_micros(micros, currency)

        if one.booked or one.beyond:
            yield f"Booked {say(one.booked)}; beyond the budget {say(one.beyond)}."
        if one.returned:
            yield (
                f"Taken back {say(one.returned)}; of promoters' money {say(one.pending)} was in "
                f"its hold, {say(one.payable)} was payable, and {say(one.debt)} was paid out and "
                "is a debt now."
            )


def say_nothing_held(held: "Held", before: "dict[tuple[str, str], int]") -> Iterator[str]:
    """That there was nothing to decide, and what people decided there before."""
    where = f" in campaign {held.campaign_id}" if held.campaign_id else ""
    yield f"No view of {held.promoter_id}{where} is held in this period: nothing to decide."
    for (decided, actor), views in before.items():
        yield f"  {views:,} views were decided {decided} by {actor} before"


def _more(left: int, what: str) -> Iterator[str]:
    if left > 0:
        yield f"  … and {left:,} more {what}: see --limit"
