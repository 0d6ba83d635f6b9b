"""What a correction of a view says, and what it does to money."""

from typing import NamedTuple

from schemas.verdicts import Verdict


class Change(NamedTuple):
    """A view of ClickHouse, and what it is to become."""

    partition: int
    raw_offset: int
    scored_offset: int
    event_id: str
    log_time: int
    """ms."""
    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    was: Verdict
    was_reasons: int
    became: Verdict
    became_reasons: int
    note: str = ""
    """Why; that of the source where it is empty."""


class Effect(NamedTuple):
    """Of one correction."""

    paid_micros: int
    """What the campaign pays more; below zero: gets back."""
    capped_micros: int
    """What is more, or less, beyond the budget."""
    accrual_id: int | None
    correction_id: int | None
