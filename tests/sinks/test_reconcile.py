from collections.abc import Iterator

import pytest
from support.blocks import START, block
from support.ledger import campaign
from support.stores import empty_store

from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks.book import book
from sinks.catalogue import save
from sinks.clickhouse import Client, connect
from sinks.postgres import Connection
from sinks.postgres import connect as connect_postgres
from sinks.reconcile import Report, reconcile
from sinks.store import insert_block

pytestmark = pytest.mark.services

ROWS = 200
BLOCKS = [(partition, number) for partition in (0, 1) for number in (0, 1)]
RANGES = {0: (0, 2 * ROWS), 1: (0, 2 * ROWS), 2: (0, 0)}


def made(partition: int, number: int):
    options = {"refused": [3, 4], "duplicates": [9]}
    return block(number * ROWS, ROWS, partition=partition, **options)


@pytest.fixture(scope="module")
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture(scope="module")
def conn(store: Settings) -> Iterator[Connection]:
    """A ledger with all blocks booked; the budget of campaign-1 covers three views of it."""
    budgets = {f"campaign-{n}": 10**9 for n in range(5)} | {"campaign-1": 3 * 1001}
    with connect_postgres(store) as conn:
        campaigns = [
            campaign(budget, campaign_id=key, currency="JPY" if key == "campaign-0" else "EUR")
            for key, budget in budgets.items()
        ]
        save(conn, campaigns, [])
        at = {0: Progress(), 1: Progress()}
        for partition, number in BLOCKS:
            after = Progress(Position(1, "w", (number + 1) * ROWS), number + 2)
            book(conn, partition, at[partition], after, [made(partition, number).accepted])
            at[partition] = after
        yield conn


@pytest.fixture
def client(store: Settings) -> Iterator[Client]:
    """A ClickHouse with all blocks, in which every mutation waits until it is done."""
    with connect(store.url("clickhouse"), settings={"mutations_sync": 2}) as client:
        for table in ("views", "views_rejected", "views_hourly", "blocks"):
            client.command(f"TRUNCATE TABLE {table}")
        for partition, number in BLOCKS:
            stamp = Stamp("block", "w", 1, number * ROWS, (number + 1) * ROWS)
            insert_block(client, partition, number + 1, START, stamp, made(partition, number))
        yield client


def failed(report: Report) -> set[str]:
    return {difference.check for difference in report.differences}


PAID = "valid views in ClickHouse = paid + capped in the ledger"
ACCEPTED = "accepted rows of each block"
REFUSED = "refused rows of each block"
ONCE = "every raw offset once"
EVENT = "every event id once within the accept window"
HOURS = "hourly sums"
FOLLOW = "blocks follow each other"
COVERED = "every raw offset of a block is accounted for"


def test_all_agrees(client: Client, conn: Connection) -> None:
    report = reconcile(client, conn, RANGES)
    assert (report.ok, report.state, report.differences) == (True, "agrees", [])
    totals = report.totals
    accepted = [made(*one).accepted for one in BLOCKS]
    valid = [row for table in accepted for row in table.to_pylist() if row["verdict"] == 1]
    assert (totals.read, totals.accepted) == (4 * ROWS, 4 * (ROWS - 3))
    assert (totals.duplicates, totals.rejected_by_reason) == (4, {"not_json": 8})
    assert sum(totals.verdicts.values()) == totals.accepted
    assert totals.verdicts["valid"] == len(valid) == totals.accrued_views + totals.capped_views
    assert totals.capped_views == sum(row["campaign_id"] == "campaign-1" for row in valid) - 3 > 0
    for currency, money in totals.money.items():
        expected = sum(row["rate_micros"] for row in valid if row["currency"] == currency)
        assert money.valid_micros == money.accrued_micros + money.capped_micros == expected
    assert set(totals.money) == {"EUR", "JPY"}


VIEW = (
    "partition = 0 AND raw_offset ="
    " (SELECT min(raw_offset) FROM views WHERE partition = 0 AND verdict = 'valid')"
)
COPY = "INSERT INTO views SELECT * REPLACE ({}) FROM (SELECT * FROM views WHERE " + VIEW + ")"
REJECTED = "partition = 1 AND raw_offset = 3"
BLOCK = "partition = 0 AND scored_offset = 2"
PLANTED = {
    "view lost": (f"ALTER TABLE views DELETE WHERE {VIEW}", {PAID, ACCEPTED, HOURS}),
    "view twice": (
        f"INSERT INTO views SELECT * FROM views WHERE {VIEW}",
        {PAID, ACCEPTED, ONCE, EVENT},
    ),
    "view of another campaign": (
        COPY.format("'other' AS campaign_id"),
        {PAID, ACCEPTED, ONCE, EVENT},
    ),
    "view of no block": (
        COPY.format("99 AS scored_offset, 99999 AS raw_offset, 'new' AS event_id, 4 AS verdict"),
        {ACCEPTED},
    ),
    "verdict changed": (
        f"ALTER TABLE views UPDATE verdict = 'held' WHERE {VIEW}",
        {PAID, ACCEPTED, HOURS},
    ),
    "price changed": (
        f"ALTER TABLE views UPDATE rate_micros = rate_micros + 1 WHERE {VIEW}",
        {PAID, HOURS},
    ),
    "event twice": (
        "ALTER TABLE views UPDATE event_id = 'same' WHERE partition = 1 AND raw_offset IN (20, 30)",
        {EVENT},
    ),
    "offset outside of its block": (
        f"ALTER TABLE views UPDATE raw_offset = 1000000 WHERE {VIEW}",
        {ACCEPTED},
    ),
    "refused event lost": (f"ALTER TABLE views_rejected DELETE WHERE {REJECTED}", {REFUSED}),
    "refused event of another block": (
        f"ALTER TABLE views_rejected UPDATE scored_offset = 2 WHERE {REJECTED}",
        {REFUSED},
    ),
    "hour has too much": ("INSERT INTO views_hourly SELECT * FROM views_hourly LIMIT 1", {HOURS}),
    "hour lost": ("ALTER TABLE views_hourly DELETE WHERE campaign_id = 'campaign-2'", {HOURS}),
    "gap between blocks": (
        f"ALTER TABLE blocks UPDATE raw_from = raw_from + 1 WHERE {BLOCK}",
        {FOLLOW, COVERED, ACCEPTED},
    ),
    "block twice": (f"INSERT INTO blocks SELECT * FROM blocks WHERE {BLOCK}", {FOLLOW}),
    "counts of a block changed": (
        f"ALTER TABLE blocks UPDATE duplicates = 0 WHERE {BLOCK}",
        {COVERED, REFUSED},
    ),
}


@pytest.mark.parametrize(("statement", "checks"), PLANTED.values(), ids=list(PLANTED))
def test_planted_differences_are_found(
    client: Client, conn: Connection, statement: str, checks: set[str]
) -> None:
    client.command(statement)
    report = reconcile(client, conn, RANGES)
    assert (report.ok, report.state, failed(report)) == (False, "differs", checks)


def test_a_difference_says_where(client: Client, conn: Connection) -> None:
    client.command("ALTER TABLE views DELETE WHERE campaign_id = 'campaign-2'")
    differences = [d for d in reconcile(client, conn, RANGES).differences if d.check == PAID]
    assert {d.where.split(",")[0] for d in differences} == {"campaign campaign-2"}
    assert all(d.expected == "0 views, 0 micros" for d in differences)


def test_not_drained(client: Client, conn: Connection) -> None:
    ahead = reconcile(client, conn, RANGES | {2: (0, 7)})
    assert (ahead.ok, ahead.state, ahead.differences) == (False, "not_drained", [])
    assert ahead.pending == [
        "ClickHouse is 7 events behind in partition 2: run `viewledger drain`",
        "the ledger is 7 events behind in partition 2: run `viewledger drain`",
    ]
    client.command("ALTER TABLE blocks DELETE WHERE partition = 1 AND scored_offset = 2")
    assert reconcile(client, conn, RANGES).pending == [
        f"ClickHouse is {ROWS} events behind in partition 1: run `viewledger drain`"
    ]


def test_more_than_there_is_in_views_raw(client: Client, conn: Connection) -> None:
    report = reconcile(client, conn, {0: (0, 2 * ROWS), 1: (0, 10)})
    assert report.state == "differs"
    assert [difference.where for difference in report.differences] == [
        "ClickHouse, partition 1",
        "the ledger, partition 1",
    ]


def test_the_ledger_has_something_else(stack: Settings) -> None:
    """A view is valid in ClickHouse and was not paid; and the other way round."""
    store = empty_store(stack, "clickhouse", "postgres")
    stored = block(0, 50)
    booked = [row | {"verdict": int(Verdict.HELD)} for row in stored.accepted.to_pylist()]
    table = stored.accepted.from_pylist(booked, schema=stored.accepted.schema)
    with connect(store.url("clickhouse")) as client, connect_postgres(store) as conn:
        insert_block(client, 0, 1, START, Stamp("block", "w", 1, 0, 50), stored)
        book(conn, 0, Progress(), Progress(Position(1, "w", 50), 2), [table])
        report = reconcile(client, conn, {0: (0, 50)})
        assert failed(report) == {PAID}
        assert report.totals.accrued_views == 0 < report.totals.valid_views
