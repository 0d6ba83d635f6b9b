"""Reviews: a person decides views, some hundred in a transaction, and what changes is carried on.

May be killed and repeated at any time: what was decided stays, and what was not carried to the
topic and to ClickHouse is carried by whoever reviews or settles next.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pipeline.settlement.publish import publisher
from schemas.settings import Settings
from sinks.clickhouse import Client
from sinks.correct_follow import follow
from sinks.judging import judging
from sinks.postgres import Connection
from sinks.review_decide import Decision, check_review, decide
from sinks.review_find import Held, Subject, find_events, find_held
from sinks.review_record import Review

_BATCH = 500
"""Views of one transaction."""


def decide_events(
    settings: Settings, conn: Connection, client: Client, event_ids: Sequence[str], review: Review
) -> Iterator[Decision]:
    """Decides views by event id; those that ClickHouse does not have are left out.

    Args:
        conn: a connection that is in no transaction.

    Raises:
        ReviewError: actor or note cannot be kept.
        SettleError: a view that is to be taken back is not booked yet.
        KafkaException: what is decided could not be carried on; `settle` or the next review does.
    """
    wanted = list(dict.fromkeys(event_ids))
    for start in range(0, len(wanted), _BATCH):
        find = partial(find_events, client, wanted[start : start + _BATCH])
        yield from _decide(settings, conn, client, find, review)


def decide_held(
    settings: Settings, conn: Connection, client: Client, held: Held, review: Review
) -> Iterator[Decision]:
    """Decides all views that are held, in the order of the log.

    Args:
        conn: a connection that is in no transaction.

    Raises:
        as `decide_events`.
    """
    # What is decided is not held any more.
    find = partial(find_held, client, held, _BATCH)
    while part := _decide(settings, conn, client, find, review):
        yield from part


def _decide(
    settings: Settings,
    conn: Connection,
    client: Client,
    find: Callable[[], list[Subject]],
    review: Review,
) -> list[Decision]:
    check_review(review)
    publish = publisher(settings)
    with judging(conn):
        follow(conn, client, publish)
        decisions = decide(conn, client, find(), review, settings.repeat_reach)
        follow(conn, client, publish)
    return decisions
