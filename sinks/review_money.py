"""What reviews did to money."""

from collections.abc import Sequence
from typing import NamedTuple

from sinks.postgres import Connection
from sinks.review_decide import Decision


class Moved(NamedTuple):
    """By some decisions, in one currency, micros."""

    currency: str
    booked: int
    """Campaigns pay more; fee included."""
    beyond: int
    """Valid, and more than the budget covers."""
    returned: int
    """Campaigns get back; fee included."""
    pending: int
    """Taken from promoters before it was released; of `returned`, as are the next two."""
    payable: int
    """Taken from them after that."""
    debt: int
    """Taken after it was paid out: the next payout nets it."""


# The entries of a reversal and of what is booked anew leave what changes.
_TAKEN = """
    SELECT currency,
        -sum(entries.amount_micros) FILTER (WHERE kind = 'promoter_pending'),
        -sum(entries.amount_micros) FILTER (WHERE kind = 'promoter_payable'),
        -sum(entries.amount_micros) FILTER (WHERE kind = 'promoter_debt')
    FROM corrections
    JOIN entries ON journal_id IN (reversal_id, rebooked_id)
    JOIN accounts USING (account_id)
    WHERE correction_id IN
        (SELECT correction_id FROM view_corrections WHERE view_correction_id = ANY (%s))
    GROUP BY currency
"""


def moved_by(conn: Connection, decisions: Sequence[Decision]) -> list[Moved]:
    """What decisions moved, by currency."""
    changed = [one for one in decisions if one.outcome == "corrected"]
    rows = conn.execute(_TAKEN, ([one.correction_id for one in changed],))
    taken = {currency: tuple(int(one or 0) for one in parts) for currency, *parts in rows}
    found = []
    for currency in sorted({one.currency for one in changed}):
        paid = [one.paid_micros for one in changed if one.currency == currency]
        beyond = [one.capped_micros for one in changed if one.currency == currency]
        found.append(
            Moved(
                currency,
                sum(one for one in paid if one > 0),
                sum(one for one in beyond if one > 0),
                -sum(one for one in paid if one < 0),
                *taken.get(currency, (0, 0, 0)),
            )
        )
    return [one for one in found if any(one[1:])]
