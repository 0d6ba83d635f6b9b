"""`erase --logs`: views.rejected and views.scored written anew without erased viewers.

Each topic is copied, redacted, into `<topic>.rewriting`; the copy is compared with it; the topic
is made anew and filled from the copy, byte by byte. Every step can be killed and is begun again
by the next run: until `swapping` the topic is as it was, from then on the copy is whole.
"""

import time
from collections.abc import Callable

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.error import KafkaError

from pipeline.drain import find_behind
from pipeline.erase import topic as topics
from pipeline.erase.messages import CopyError, copy, digests, read
from pipeline.erase.redact import check_copy, redacted
from pipeline.offsets import topic_ranges
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED, SCORED, rewriting
from sinks import erasures
from sinks.erasures import Rewrite
from sinks.postgres import Connection

Show = Callable[[str, int], None]
"""Called with what is done and with the messages done."""

_GROUPS = ("viewledger-score", "viewledger-store", "viewledger-book")
_LEAVE_S = 20.0
"""A static member stays in its group until its session is over, 10 s after its end."""


class BusyError(Exception):
    """Workers run, or are not done; says which and what to do."""


def rewrite_logs(
    settings: Settings, conn: Connection, by: str, show: Show = lambda what, done: None
) -> bool:
    """Writes a topic anew where erasures ask for it; goes on with what was interrupted.

    views.scored where they are queued; views.rejected after any, as nothing else tells whether it
    has events of somebody.

    Args:
        conn: in no transaction, and the only one that erases.

    Raises:
        BusyError: workers run, or have not read everything; nothing was touched.
        CopyError: a topic is not what it must be.
        KafkaException, psycopg.Error: a service does not answer.
    """
    done = False
    # The record last: what is queued is queued until then.
    for topic in (REJECTED, SCORED):
        rewrite = erasures.open_rewrite(conn)
        if rewrite is None:
            if not (erasures.unseen(conn, topic) if topic == REJECTED else erasures.queued(conn)):
                continue
            erasures.begin_rewrite(conn, topic, by)
        elif rewrite.topic != topic:
            continue
        _rewrite(settings, conn, show)
        done = True
    return done


def _rewrite(settings: Settings, conn: Connection, show: Show) -> None:
    """All steps that are left of the rewrite that was begun."""
    admin = topics.connect(settings)
    steps = {"begun": _begin, "copying": _copy, "swapping": _swap, "switching": _switch}
    while (now := erasures.open_rewrite(conn)) is not None:
        steps[now.state](settings, conn, admin, now, show)


def _begin(
    settings: Settings, conn: Connection, admin: AdminClient, now: Rewrite, show: Show
) -> None:
    try:
        check_quiet(settings, admin)
        plan = topics.describe(admin, now.topic)
    except BaseException:
        erasures.cancel_rewrite(conn, now.rewrite_id)
        raise
    known = erasures.queued(conn)
    erasures.move_rewrite(conn, now.rewrite_id, "copying", plan=plan, erasures=known)


def _copy(
    settings: Settings, conn: Connection, admin: AdminClient, now: Rewrite, show: Show
) -> None:
    assert now.plan is not None
    erased, beside = erasures.load_erased(conn), rewriting(now.topic)
    partitions = now.plan["partitions"]
    topics.make_empty(admin, beside, now.plan)
    source = redacted(settings, now.topic, erased)
    copy(settings, source, beside, partitions, lambda n: show(f"copying {now.topic}", n))
    checked = check_copy(settings, now.topic, beside, partitions, erased)
    erasures.move_rewrite(
        conn,
        now.rewrite_id,
        "swapping",
        digests=digests(settings, beside, partitions),
        messages=checked.messages,
        views=checked.unlinked,
    )


def _swap(
    settings: Settings, conn: Connection, admin: AdminClient, now: Rewrite, show: Show
) -> None:
    assert now.plan is not None
    beside, partitions = rewriting(now.topic), now.plan["partitions"]
    if digests(settings, beside, partitions) != now.digests:
        raise CopyError(
            f"{beside} is not what it was when it was checked. Delete neither it nor {now.topic}, "
            "stop everything that writes to Kafka, and restore both from a backup"
        )
    topics.make_empty(admin, now.topic, now.plan)
    copy(
        settings,
        lambda partition: read(settings, beside, partition),
        now.topic,
        partitions,
        lambda n: show(f"writing {now.topic}", n),
    )
    if digests(settings, now.topic, partitions) != now.digests:
        raise CopyError(f"{now.topic} differs from {beside}: run `viewledger erase --logs` again")
    erasures.move_rewrite(conn, now.rewrite_id, "switching")


def _switch(
    settings: Settings, conn: Connection, admin: AdminClient, now: Rewrite, show: Show
) -> None:
    assert now.plan is not None
    topics.give_back_config(admin, now.topic, now.plan)
    topics.delete(admin, rewriting(now.topic))
    if now.topic != SCORED:
        now = now._replace(erasures=[])
    erasures.finish_rewrite(conn, now)


def check_quiet(settings: Settings, admin: AdminClient) -> None:
    """Waits a moment until no worker is a member of a group; everything must be read.

    Raises:
        BusyError: a group has members, or a sink is behind.
    """
    deadline = time.monotonic() + _LEAVE_S
    while members := {group: n for group in _GROUPS if (n := _members(admin, group))}:
        if time.monotonic() > deadline:
            found = ", ".join(f"{n} of {group}" for group, n in members.items())
            raise BusyError(
                f"workers run ({found}): stop them and leave the services running, see "
                "docs/erasure.md; nothing was touched"
            )
        time.sleep(0.25)
    behind = find_behind(settings, {p: end for p, (_, end) in topic_ranges(settings, RAW).items()})
    if behind:
        raise BusyError(
            f"{behind[0]}: start the workers, run `viewledger drain`, and stop them again; nothing "
            "was touched"
        )


def _members(admin: AdminClient, group: str) -> int:
    try:
        found = admin.describe_consumer_groups([group])[group].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise
    return 0 if found.state == ConsumerGroupState.DEAD else len(found.members)
