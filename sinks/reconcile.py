"""Whether ClickHouse, the ledger, the bank's side and views.raw say the same.

To the event and to the micro, after corrections: views x rate = what is booked; what is booked is
somewhere; what was to be paid is in the bank files, and became what the bank answered.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

from schemas.seal_keys import Keys
from sinks import book, store
from sinks.clickhouse import Client
from sinks.ledger_verify import Total, discrepancies
from sinks.postgres import Connection
from sinks.reconcile_corrections import behind, check_corrections, last_correction
from sinks.reconcile_payouts import Files, Payouts, check_answers, check_files, load_payouts
from sinks.reconcile_store import Difference, check_store
from sinks.reconcile_totals import (
    Books,
    Owner,
    Totals,
    Valid,
    after_corrections,
    booked_views,
    load_books,
    stored_views,
    totals,
)

_DAY_MS = 24 * 3600 * 1000


class Report(msgspec.Struct, frozen=True):
    """Outcome of `reconcile`."""

    ok: bool
    state: Literal["agrees", "differs", "not_drained"]
    pending: list[str]
    """Why it is not drained; nothing was compared then."""
    differences: list[Difference]
    totals: Totals
    books: dict[str, Books]
    """By currency."""
    payouts: dict[str, Payouts]
    """By currency; what was exported."""
    files: Files


def reconcile(
    client: Client,
    conn: Connection,
    raw_ranges: Mapping[int, tuple[int, int]],
    accept_window_ms: int = _DAY_MS,
    keys: Keys | None = None,
) -> Report:
    """Compares everything with everything.

    Args:
        client: ClickHouse.
        conn: the ledger's Postgres, in no transaction.
        raw_ranges: partition → [first, next) offset of views.raw.
        accept_window_ms: within which an event id may be accepted only once.
        keys: of the payees; without them the stored bank files are not read.
    """
    positions, corrected = _positions(client, conn), last_correction(conn)
    stored, booked = after_corrections(client, conn, stored_views(client), booked_views(conn))
    pending = _behind(positions, raw_ranges) + behind(client, conn)
    differences: list[Difference] = []
    if not pending:
        differences += _ahead(positions, raw_ranges) + _compare(stored, booked)
        differences += check_corrections(client, conn)
    # Both databases work at the same time.
    with ThreadPoolExecutor(1) as beside, conn.transaction():
        tables = None if pending else beside.submit(check_store, client, accept_window_ms)
        # As of one moment: what is booked or paid meanwhile is not half in it.
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        books, payouts = load_books(conn), load_payouts(conn)
        files, wrong_files = check_files(conn, keys)
        if not pending:
            differences += [Difference(*found) for found in discrepancies(conn)]
            differences += wrong_files + check_answers(conn)
        if tables is not None:
            differences += tables.result()
    if not pending and _positions(client, conn) != positions:
        pending = ["events came in while they were compared: run `viewledger drain`"]
    if not pending and last_correction(conn) != corrected:
        pending = ["views were corrected while they were compared: look again"]
    state: Literal["agrees", "differs", "not_drained"] = (
        "not_drained" if pending else "differs" if differences else "agrees"
    )
    return Report(
        ok=state == "agrees",
        state=state,
        pending=pending,
        differences=[] if pending else differences,
        totals=totals(client, raw_ranges, stored, booked),
        books=books,
        payouts=payouts,
        files=files,
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
        f"{sink} is {end - at.get(partition, 0):,} events behind in partition {partition}: "
        "run `viewledger drain`"
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


def _compare(stored: Mapping[Owner, Valid], booked: Mapping[Owner, Total]) -> list[Difference]:
    found = []
    for owner in sorted(stored.keys() | booked.keys()):
        here, there = stored.get(owner, Valid()), booked.get(owner, Total(*owner, 0, 0, 0, 0))
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
