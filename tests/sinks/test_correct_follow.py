from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from support.blocks import START, block
from support.corrections import HINDSIGHT, REVIEW
from support.ledger import campaign
from support.stores import empty_store, last_part, lose_part, patient_client, stopped_clickhouse

from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks import clickhouse, postgres
from sinks.book import book
from sinks.catalogue import save
from sinks.clickhouse import Client
from sinks.correct_follow import Correction, follow
from sinks.correct_types import Change
from sinks.correct_views import correct_views
from sinks.ledger_verify import Total, verify_ledger
from sinks.postgres import Connection
from sinks.reconcile import reconcile
from sinks.reconcile_totals import Owner, booked_views
from sinks.store import insert_block

pytestmark = pytest.mark.services

ROWS = 300
SHORT = "campaign-1"
"""Its budget covers three views."""


@pytest.fixture
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture
def client(store: Settings) -> Iterator[Client]:
    with clickhouse.connect(store.url("clickhouse"), settings={"mutations_sync": 2}) as client:
        yield client


@pytest.fixture
def conn(store: Settings) -> Iterator[Connection]:
    with postgres.connect(store) as conn:
        yield conn


@pytest.fixture
def changes(client: Client, conn: Connection) -> list[Change]:
    """A block that is stored and booked: a third of its views becomes the contrary."""
    made = block(0, ROWS)
    budgets = {f"campaign-{n}": 10**9 for n in range(5)} | {SHORT: 3 * 1001}
    save(
        conn,
        [
            campaign(budget, campaign_id=key, currency="JPY" if key == "campaign-0" else "EUR")
            for key, budget in budgets.items()
        ],
        [],
    )
    book(conn, 0, Progress(), Progress(Position(1, "w", ROWS), 1), [made.accepted])
    insert_block(client, 0, 0, START, Stamp("block", "w", 1, 0, ROWS), made)
    rows = client.query(
        "SELECT partition, raw_offset, scored_offset, event_id, toUnixTimestamp64Milli(log_time),"
        " campaign_id, promoter_id, currency, rate_micros, verdict, reasons FROM views"
        " WHERE raw_offset % 3 = 0 ORDER BY raw_offset"
    ).result_rows
    return [change_of(*row) for row in rows]


def change_of(*row: Any) -> Change:
    """The contrary of a row of `views`."""
    *place, verdict, reasons = row
    became = Verdict.INVALID if verdict == "valid" else Verdict.VALID
    return Change._make([*place, Verdict[verdict.upper()], reasons, became, 5, ""])


def nowhere(rows: Sequence[Correction]) -> None:
    """Publishes nothing."""


def stored(client: Client) -> list[tuple[object, ...]]:
    rows = client.query("SELECT * FROM corrections FINAL ORDER BY correction_id").result_rows
    return list(map(tuple, rows))


def test_corrections_of_both_kinds_reconcile_to_zero(
    client: Client, conn: Connection, changes: list[Change]
) -> None:
    ranges = {0: (0, ROWS)}
    before = reconcile(client, conn, ranges)
    assert before.ok
    assert {one.was for one in changes} >= {Verdict.VALID, Verdict.INVALID}
    correct_views(conn, changes, HINDSIGHT)
    behind = reconcile(client, conn, ranges)
    assert behind.state == "not_drained"
    assert "corrections behind" in behind.pending[0]
    assert follow(conn, client, nowhere) == len(changes)
    report = reconcile(client, conn, ranges)
    assert report.differences == []
    gained = sum(one.became == Verdict.VALID for one in changes)
    assert report.totals.valid_views == before.totals.valid_views + 2 * gained - len(changes)
    for money in report.totals.money.values():
        assert money.valid_micros == money.accrued_micros + money.capped_micros
    back = [one._replace(was=one.became, became=one.was) for one in changes]
    overturned = [one for one in back if one.became != Verdict.HELD]
    assert correct_views(conn, overturned, REVIEW) == len(overturned)
    follow(conn, client, nowhere)
    assert reconcile(client, conn, ranges).differences == []
    assert verify_ledger(conn) == []


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE corrections DELETE WHERE correction_id % 7 = 3",
        "ALTER TABLE corrections UPDATE became = 'held' WHERE correction_id % 7 = 3",
        "ALTER TABLE corrections UPDATE rate_micros = 1, paid_micros = 1 WHERE correction_id = 5",
        "INSERT INTO corrections SELECT * REPLACE (999 AS correction_id) FROM corrections LIMIT 1",
    ],
)
def test_reconcile_sees_what_is_wrong(
    client: Client, conn: Connection, changes: list[Change], harm: str
) -> None:
    correct_views(conn, changes, HINDSIGHT)
    follow(conn, client, nowhere)
    assert reconcile(client, conn, {0: (0, ROWS)}).ok
    client.command(harm)
    checks = {found.check for found in reconcile(client, conn, {0: (0, ROWS)}).differences}
    assert "corrections in ClickHouse = corrections in the ledger" in checks


def test_following_is_repeated_until_all_is_there(
    client: Client, conn: Connection, changes: list[Change]
) -> None:
    seen: list[int] = []

    def fails_after(rows: Sequence[Correction]) -> None:
        seen.extend(row.correction_id for row in rows)
        raise OSError

    correct_views(conn, changes[:10], HINDSIGHT)
    with pytest.raises(OSError):  # noqa: PT011
        follow(conn, client, fails_after)
    assert stored(client) == []
    assert follow(conn, client, lambda rows: seen.extend(row.correction_id for row in rows)) == 10
    assert follow(conn, client, nowhere) == 0
    assert seen == 2 * [row[0] for row in stored(client)]
    correct_views(conn, changes, HINDSIGHT)
    assert follow(conn, client, nowhere) == len(changes) - 10
    whole = stored(client)
    assert [row[4] for row in whole] == [one.event_id for one in changes]
    # A part that a server lost is noticed, and everything is copied again, once.
    client.command("ALTER TABLE corrections DELETE WHERE raw_offset < 20")
    follow(conn, client, nowhere)
    assert stored(client) == whole


def test_a_part_that_the_server_lost_comes_again(
    store: Settings, client: Client, conn: Connection, changes: list[Change]
) -> None:
    """It is the same insert as before, and the server remembers having seen it."""
    correct_views(conn, changes, HINDSIGHT)
    follow(conn, client, nowhere)
    whole, part = stored(client), last_part(client, "corrections")
    with stopped_clickhouse(store):
        lose_part(part)
    with patient_client(store) as again:
        assert stored(again) == []
        follow(conn, again, nowhere)
        assert stored(again) == whole


def test_what_is_corrected_while_it_is_compared_is_no_difference(
    client: Client, conn: Connection, changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_corrected(conn: Connection) -> dict[Owner, Total]:
        found = booked_views(conn)
        correct_views(conn, changes, HINDSIGHT)
        follow(conn, client, nowhere)
        return found

    monkeypatch.setattr("sinks.reconcile.booked_views", then_corrected)
    report = reconcile(client, conn, {0: (0, ROWS)})
    assert (report.state, report.differences) == ("not_drained", [])
    monkeypatch.undo()
    assert reconcile(client, conn, {0: (0, ROWS)}).ok
