"""What a person decides of views: recorded once, corrected where the verdict was another one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from schemas.verdicts import Reason, Verdict
from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.review_find import Subject, find_repeats
from sinks.review_record import Becomes, Earlier, Review, corrections_of, earlier, record

_POLICY = Reason.BELOW_MIN_WATCH.bit | Reason.BELOW_MIN_VISIBLE.bit
_UNAVAILABLE = sum(reason.bit for reason in Reason if reason.kind == "unavailable")
_ACTOR_LENGTH, _NOTE_LENGTH = 64, 500


class ReviewError(Exception):
    """What cannot be decided, and why; nothing was changed."""


class Decision(msgspec.Struct, frozen=True):
    """What became of one view."""

    event_id: str
    promoter_id: str
    campaign_id: str
    currency: str
    rate_micros: int
    outcome: Literal["corrected", "upheld", "repeated", "refused"]
    """Repeated: it was decided so before. Refused: it was decided otherwise before."""
    was: str
    became: str
    correction_id: int | None = None
    """`view_correction_id` of the ledger."""
    paid_micros: int = 0
    """What the campaign pays more; below zero: gets back."""
    capped_micros: int = 0
    says: str = ""
    """What is to be known of it."""


def check_review(review: Review) -> None:
    """Raises a `ReviewError` where the actor or the note cannot be kept."""
    for name, text, most in (
        ("--by", review.actor, _ACTOR_LENGTH),
        ("--note", review.note, _NOTE_LENGTH),
    ):
        if not (1 <= len(text) <= most and text.isprintable() and text == text.strip()):
            raise ReviewError(
                f"{name} is {text[:80]!r}; it must be 1 to {most} printable characters, no spaces "
                "around them"
            )


def check_known(conn: Connection, promoter_id: str, campaign_id: str | None = None) -> None:
    """Raises a `ReviewError` where the catalogue does not have them: most likely mistyped."""
    for kind, wanted in (("promoter", promoter_id), ("campaign", campaign_id)):
        if wanted is None:
            continue
        query = f"SELECT FROM {kind}s WHERE {kind}_id = %s"
        if not conn.execute(query, (wanted,)).fetchall():
            raise ReviewError(
                f"there is no {kind} {wanted!r} in the catalogue: ids are as in its import"
            )


def decide(
    conn: Connection,
    client: Client,
    subjects: Sequence[Subject],
    review: Review,
    reach: timedelta,
) -> list[Decision]:
    """Decides views in one transaction, in the order they are given.

    What was decided before stays: a person's word stands, and a view is corrected once by a review.

    Args:
        conn: a connection that is in no transaction, under `sinks.judging.judging`.
        client: ClickHouse, which has all corrections.
        subjects: in the order of the log, each view once.
        reach: log time within which views of one day can come in.

    Raises:
        ReviewError: actor or note cannot be kept.
        SettleError: a view that is to be taken back is not booked yet.
    """
    check_review(review)
    before = earlier(conn, subjects)
    new = [one for one in subjects if one[:2] not in before]
    changes = _changes(client, new, review, reach)
    record(conn, new, changes, review)
    done = corrections_of(conn, new)
    decisions = []
    for one in subjects:
        if one[:2] in before:
            decisions.append(_again(one, before[one[:2]], review))
        else:
            decisions.append(_new(one, changes[one], done.get(one[:2])))
    return decisions


def _changes(
    client: Client, subjects: Sequence[Subject], review: Review, reach: timedelta
) -> dict[Subject, Becomes]:
    """What views become: verdict and reasons."""
    if review.decided == "invalid":
        return {one: Becomes(Verdict.INVALID, one.reasons & ~_UNAVAILABLE) for one in subjects}
    # What the view policy has against a view is nothing that a person judges.
    unpaid = {
        one for one in subjects if one.reasons & _POLICY or one.verdict == Verdict.UNQUALIFIED
    }
    repeats = find_repeats(client, [one for one in subjects if one not in unpaid], reach)
    policy = _POLICY | Reason.REPEAT_VIEW.bit
    found = dict.fromkeys(subjects, Becomes(Verdict.VALID, 0))
    found |= {one: Becomes(Verdict.UNQUALIFIED, one.reasons & policy) for one in unpaid}
    return found | {one: Becomes(Verdict.UNQUALIFIED, Reason.REPEAT_VIEW.bit) for one in repeats}


def _again(one: Subject, before: Earlier, review: Review) -> Decision:
    by = f"{before.actor} on {before.decided_at:%Y-%m-%d %H:%M} UTC: {before.note}"
    same = before.decided == review.decided
    return Decision(
        one.event_id,
        one.promoter_id,
        one.campaign_id,
        one.currency,
        one.rate_micros,
        "repeated" if same else "refused",
        before.became,
        before.became,
        says=f"decided {before.decided} by {by}"
        if same
        else f"was decided {before.decided} by {by}. A view is reviewed once",
    )


def _new(one: Subject, becomes: Becomes, done: tuple[int, int, int] | None) -> Decision:
    became, reasons = becomes
    number, paid, capped = done or (None, 0, 0)
    says = ""
    if became == Verdict.UNQUALIFIED and reasons & Reason.REPEAT_VIEW.bit:
        says = "the viewer is paid for another view of this post and day"
    elif became == Verdict.UNQUALIFIED:
        says = "the view policy does not pay it"
    elif capped > 0:
        says = "beyond the budget"
    return Decision(
        one.event_id,
        one.promoter_id,
        one.campaign_id,
        one.currency,
        one.rate_micros,
        "upheld" if done is None else "corrected",
        one.verdict.name.lower(),
        became.name.lower(),
        number,
        paid,
        capped,
        says,
    )
