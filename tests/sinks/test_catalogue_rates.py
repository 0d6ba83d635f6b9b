import time
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import campaign, name

from sinks.catalogue import catalogue_version, load_catalogue, save_campaigns
from sinks.catalogue_file import CatalogueError
from sinks.catalogue_rates import add_rate
from sinks.postgres import Connection

pytestmark = pytest.mark.services
change = msgspec.structs.replace


def now_ms(conn: Connection) -> int:
    (row,) = conn.execute("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)").fetchall()
    return int(row[0])


def test_an_imported_rate_is_valid_from_now_on(conn: Connection) -> None:
    mine = campaign(rate_micros=1000)
    save_campaigns(conn, [mine])
    assert mine.campaign_id not in load_catalogue(conn).rates
    before = now_ms(conn)
    save_campaigns(conn, [change(mine, rate_micros=1500)])
    after = now_ms(conn) + 1
    catalogue = load_catalogue(conn)
    assert catalogue.campaigns[mine.campaign_id].rate_micros == 1500
    prices = [catalogue.rate_at(mine.campaign_id, at) for at in (-(10**12), before - 1, after)]
    assert prices == [1000, 1000, 1500]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(1, 5) | st.tuples(st.integers(1, 5), st.integers(1, 90)), max_size=6))
def test_a_change_never_touches_the_past(
    session_conn: Connection, changes: list[int | tuple[int, int]]
) -> None:
    conn, mine = session_conn, campaign(rate_micros=3)
    save_campaigns(conn, [mine])
    charged: dict[int, int] = {}
    for step in changes:
        at = now_ms(conn) - 1
        charged[at] = load_catalogue(conn).rate_at(mine.campaign_id, at)
        if isinstance(step, int):
            save_campaigns(conn, [change(mine, rate_micros=step)])
        else:
            rate, seconds = step
            since = datetime.now(UTC) + timedelta(seconds=60 + seconds)
            add_rate(conn, mine.campaign_id, rate, since)
        catalogue = load_catalogue(conn)
        assert {at: catalogue.rate_at(mine.campaign_id, at) for at in charged} == charged


def test_a_rate_of_the_future_is_known_and_not_yet_charged(conn: Connection) -> None:
    mine = campaign(rate_micros=1000)
    save_campaigns(conn, [mine])
    version = catalogue_version(conn)
    since = datetime.now(UTC) + timedelta(days=1)
    assert add_rate(conn, mine.campaign_id, 1500, since) == since
    assert catalogue_version(conn) > version
    catalogue = load_catalogue(conn)
    assert catalogue.campaigns[mine.campaign_id] == mine
    at = int(since.timestamp() * 1000) + 1
    prices = [catalogue.rate_at(mine.campaign_id, when) for when in (at - 2, at)]
    assert prices == [1000, 1500]
    # The next import of what is valid now changes nothing.
    assert save_campaigns(conn, [mine]).unchanged == 1


def test_a_rate_becomes_current_when_its_time_comes(conn: Connection) -> None:
    mine = campaign(rate_micros=1000)
    save_campaigns(conn, [mine])
    since = add_rate(conn, mine.campaign_id, 1500, datetime.now(UTC) + timedelta(seconds=3))
    while datetime.now(UTC) <= since:
        time.sleep(0.05)
    assert load_catalogue(conn).campaigns[mine.campaign_id].rate_micros == 1500


def test_says_why_a_rate_cannot_be_added(conn: Connection) -> None:
    mine = campaign()
    save_campaigns(conn, [mine])
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    add_rate(conn, mine.campaign_id, 5, tomorrow)
    for campaign_id, rate, since, said in [
        (mine.campaign_id, 6, tomorrow, "it cannot be changed; choose another time"),
        (mine.campaign_id, 6, tomorrow - timedelta(days=2), "can only be added for the future"),
        (mine.campaign_id, 0, None, "the rate is 0; it must be from 1"),
        (mine.campaign_id, 10**13, None, "it must be from 1"),
        (name(), 6, None, "is not in the catalogue"),
    ]:
        with pytest.raises(CatalogueError, match=said):
            add_rate(conn, campaign_id, rate, since)
    assert len(load_catalogue(conn).rates[mine.campaign_id].rate_micros) == 2


@pytest.mark.parametrize(
    ("valid_from", "why"),
    [
        ("statement_timestamp() - interval '1 microsecond'", "never changes the past"),
        ("'-infinity'", "never changes the past"),
        ("'infinity'", "never changes the past"),
    ],
)
def test_the_database_refuses_rates_of_the_past(
    conn: Connection, owner: Connection, valid_from: str, why: str
) -> None:
    mine = campaign()
    save_campaigns(conn, [mine])
    for each in (conn, owner):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=why):
            each.execute(
                "INSERT INTO campaign_rates (campaign_id, valid_from, rate_micros)"
                f" VALUES ('{mine.campaign_id}', {valid_from}, 5)"
            )


def test_the_first_rate_holds_for_ever(owner: Connection) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute(
            "INSERT INTO campaigns VALUES"
            " ('rateless', 'EUR', 0, '2026-01-01', '2027-01-01', 'active')"
        )
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="from -infinity"):
            owner.execute("INSERT INTO campaign_rates VALUES ('rateless', now() + '1 day', 5)")
