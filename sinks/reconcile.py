"""Whether ClickHouse, the ledger and views.raw say the same, to the event and to the micro."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from sinks import book, store
from sinks.clickhouse import Client
from sinks.ledger_verify import Total, ledger_totals, verify_ledger
from sinks.postgres import Connection
from sinks.reconcile_store import Difference, check_store

_DAY_MS = 24 * 3600 * 1000


class Money(msgspec.Struct, frozen=True):
    """Valid views times their rate, in micros of one currency."""

    valid_micros: int
    accrued_micros: int
    capped_micros: int


class Totals(msgspec.Struct, frozen=True):
    """What became of all events."""

    read: int
    accepted: int
    duplicates: int
    rejected: int
    rejected_by_reason: dict[str, int]
    verdicts: dict[str, int]
    valid_views: int
    accrued_views: int
    capped_views: int
    money: dict[str, Money]
    """By currency."""


class Report(msgspec.Struct, frozen=True):
    """Outcome of `reconcile`."""

    ok: bool
    state: Literal["agrees", "differs", "not_drained"]
    pending: list[str]
    """Why it is not drained; nothing was compared then."""
    differences: list[Difference]
    totals: Totals


class _Valid(NamedTuple):
    views: int = 0
    micros: int = 0


_Owner = tuple[str, str, str]
"""Campaign, promoter, currency."""


def reconcile(
    client: Client,
    conn: Connection,
    raw_ranges: Mapping[int, tuple[int, int]],
    accept_window_ms: int = _DAY_MS,
) -> Report:
    """Compares everything with everything.

    Args:
        client: ClickHouse.
        conn: the ledger's Postgres, in no transaction.
        raw_ranges: partition → [first, next) offset of views.raw.
        accept_window_ms: within which an event id may be accepted only once.
    """
    positions = _positions(client, conn)
    stored, booked = _stored(client), _booked(conn)
    pending = _behind(positions, raw_ranges)
    differences: list[Difference] = []
    if not pending:
        differences += _ahead(positions, raw_ranges)
        differences += check_store(client, accept_window_ms)
        differences += _compare(stored, booked)
        differences += [
            Difference(check, subject, str(expected), str(found))
            for check, subject, expected, found in verify_ledger(conn)
        ]
        if _positions(client, conn) != positions:
            pending = ["events came in while they were compared"]
    state: Literal["agrees", "differs", "not_drained"] = (
        "not_drained" if pending else "differs" if differences else "agrees"
    )
    return Report(
        ok=state == "agrees",
        state=state,
        pending=pending,
        differences=[] if pending else differences,
        totals=_totals(client, raw_ranges, stored, booked),
    )


def _positions(client: Client, conn: Connection) -> dict[str, dict[int, int]]:
    """`next_raw` of each sink, by partition."""
    loaded = {"ClickHouse": store.load_progress(client), "the ledger": book.load_progress(conn)}
    return {
        sink: {partition: at.position.next_raw for partition, at in progress.items()}
        for sink, progress in loaded.items()
    }


def _behind(
    positions: dict[str, dict[int, int]], ranges: Mapping[int, tuple[int, int]]
) -> list[str]:
    return [
        f"{sink} is {end - at.get(partition, 0):,} events behind in partition {partition}"
        for sink, at in positions.items()
        for partition, (_, end) in sorted(ranges.items())
        if at.get(partition, 0) < end
    ]


def _ahead(
    positions: dict[str, dict[int, int]], ranges: Mapping[int, tuple[int, int]]
) -> list[Difference]:
    return [
        Difference(
            "what was read is in views.raw", f"{sink}, partition {partition}", str(end), str(at)
        )
        for sink, progress in positions.items()
        for partition, at in sorted(progress.items())
        if at > (end := ranges.get(partition, (0, 0))[1])
    ]


def _stored(client: Client) -> dict[_Owner, _Valid]:
    """Valid views in ClickHouse."""
    rows = client.query(
        "SELECT campaign_id, promoter_id, currency, count(), sum(rate_micros) FROM views"
        " WHERE verdict = 'valid' GROUP BY campaign_id, promoter_id, currency"
    ).result_rows
    return {tuple(owner): _Valid(views, micros) for *owner, views, micros in rows}


def _booked(conn: Connection) -> dict[_Owner, Total]:
    """Valid views in the ledger, paid and capped."""
    return {(row.campaign_id, row.promoter_id, row.currency): row for row in ledger_totals(conn)}


def _compare(stored: Mapping[_Owner, _Valid], booked: Mapping[_Owner, Total]) -> list[Difference]:
    found = []
    for owner in sorted(stored.keys() | booked.keys()):
        here, there = stored.get(owner, _Valid()), booked.get(owner, Total(*owner, 0, 0, 0, 0))
        paid = (there.views + there.capped_views, there.amount_micros + there.capped_micros)
        if (here.views, here.micros) != paid:
            found.append(
                Difference(
                    "valid views in ClickHouse = paid + capped in the ledger",
                    "campaign {}, promoter {}, {}".format(*owner),
                    f"{here.views:,} views, {here.micros:,} micros",
                    f"{there.views:,} + {there.capped_views:,} views, "
                    f"{there.amount_micros:,} + {there.capped_micros:,} micros",
                )
            )
    return found


def _totals(
    client: Client,
    raw_ranges: Mapping[int, tuple[int, int]],
    stored: Mapping[_Owner, _Valid],
    booked: Mapping[_Owner, Total],
) -> Totals:
    ((accepted, duplicates, rejected, verdicts, refusals),) = client.query(
        "SELECT sum(accepted), sum(duplicates), sum(rejected), sumMap(verdicts), sumMap(refusals)"
        " FROM blocks"
    ).result_rows
    money: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (_, _, currency), valid in stored.items():
        money[currency][0] += valid.micros
    for (_, _, currency), total in booked.items():
        money[currency][1] += total.amount_micros
        money[currency][2] += total.capped_micros
    return Totals(
        read=sum(end for _, end in raw_ranges.values()),
        accepted=accepted,
        duplicates=duplicates,
        rejected=rejected,
        rejected_by_reason={k: n for k, n in sorted(refusals.items()) if k != "duplicate"},
        verdicts=verdicts,
        valid_views=sum(valid.views for valid in stored.values()),
        accrued_views=sum(total.views for total in booked.values()),
        capped_views=sum(total.capped_views for total in booked.values()),
        money={currency: Money(*micros) for currency, micros in sorted(money.items())},
    )
