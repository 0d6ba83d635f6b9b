"""One salt per day for everybody, sealed, and never a second one for the same day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from psycopg.errors import InsufficientPrivilege, IntegrityConstraintViolation
from support.clock import today

from schemas.seal_keys import Keys, parse_keys
from schemas.settings import Settings
from sinks.address_salts import SALT_BYTES, obtain_salts
from sinks.postgres import Connection, connect
from sinks.sealing import SealError, new_key

pytestmark = pytest.mark.services

KEYS = parse_keys(new_key())
DAY = timedelta(1)


@pytest.fixture(name="day")
def _day() -> date:
    return today()


@pytest.fixture(autouse=True)
def _empty(owner: Connection) -> None:
    with owner.transaction():
        owner.execute("ALTER TABLE address_salts DISABLE TRIGGER check_day")
        owner.execute("DELETE FROM address_salts")
        owner.execute("ALTER TABLE address_salts ENABLE TRIGGER check_day")


def insert(owner: Connection, day: date) -> None:
    """A row as it was made in its time."""
    with owner.transaction():
        owner.execute("ALTER TABLE address_salts DISABLE TRIGGER check_day")
        owner.execute("INSERT INTO address_salts VALUES (%s, %s, 'k')", (day, b"x" * 60))
        owner.execute("ALTER TABLE address_salts ENABLE TRIGGER check_day")


def days_of(conn: Connection) -> list[date]:
    return [day for (day,) in conn.execute("SELECT day FROM address_salts ORDER BY day")]


def test_a_salt_stays_the_same_for_its_day(conn: Connection, day: date) -> None:
    first = obtain_salts(conn, KEYS, [day, day + DAY])
    assert {len(salt) for salt in first.values()} == {SALT_BYTES}
    assert len(set(first.values())) == 2
    assert obtain_salts(conn, KEYS, [day]) == {day: first[day]}
    assert days_of(conn) == [day, day + DAY]


def test_of_many_that_come_at_once_all_get_the_same(books: Settings, day: date) -> None:
    def fetch(_: int) -> dict[date, bytes]:
        with connect(books) as conn:
            return obtain_salts(conn, KEYS, [day, day + DAY])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fetch, range(16)))
    assert all(one == found[0] for one in found)
    assert set(found[0]) == {day, day + DAY}


def test_what_stands_there_is_sealed_for_its_day(
    conn: Connection, owner: Connection, day: date
) -> None:
    salts = obtain_salts(conn, KEYS, [day, day + DAY])
    rows = conn.execute("SELECT sealed FROM address_salts").fetchall()
    assert not any(salt in sealed for (sealed,) in rows for salt in salts.values())
    with pytest.raises(SealError, match="does not open"):
        obtain_salts(conn, {key: parse_keys(new_key()).popitem()[1] for key in KEYS}, [day])
    owner.execute(
        "UPDATE address_salts SET sealed = (SELECT sealed FROM address_salts WHERE day = %s)",
        (day + DAY,),
    )
    with pytest.raises(SealError, match="belongs to another row"):
        obtain_salts(conn, KEYS, [day])


def test_an_older_key_still_opens(conn: Connection, day: date) -> None:
    before = obtain_salts(conn, KEYS, [day])
    rotated: Keys = {**parse_keys("new:" + new_key().partition(":")[2]), **KEYS}
    assert obtain_salts(conn, rotated, [day]) == before


def test_a_salt_is_deleted_a_day_after_its_own(
    conn: Connection, owner: Connection, day: date
) -> None:
    for age in (3, 2, 1):
        insert(owner, day - age * DAY)
    obtain_salts(conn, KEYS, [day])
    assert days_of(conn) == [day - DAY, day]


@pytest.mark.parametrize("off", [-30, -2, 3, 400])
def test_a_clock_that_is_days_off_makes_no_salts(conn: Connection, off: int, day: date) -> None:
    with pytest.raises(IntegrityConstraintViolation, match="a clock is wrong"):
        obtain_salts(conn, KEYS, [day + off * DAY])
    assert days_of(conn) == []


@pytest.mark.parametrize("off", [-1, 0, 1, 2])
def test_a_salt_in_use_is_not_deleted(conn: Connection, off: int, day: date) -> None:
    obtain_salts(conn, KEYS, [day + off * DAY])
    with pytest.raises(IntegrityConstraintViolation, match="is in use"):
        conn.execute("DELETE FROM address_salts")


def test_nobody_changes_a_salt_and_analysts_see_none(conn: Connection, owner: Connection) -> None:
    with pytest.raises(InsufficientPrivilege):
        conn.execute("UPDATE address_salts SET sealed = sealed")
    with pytest.raises(InsufficientPrivilege), owner.transaction():
        owner.execute("SET LOCAL ROLE viewledger_read")
        owner.execute("SELECT * FROM address_salts")
