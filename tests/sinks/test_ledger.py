from contextlib import AbstractContextManager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import View, after, campaign, name, new_partition, table

from schemas.fencing import Progress
from sinks.book import book
from sinks.catalogue import save
from sinks.ledger import (
    Entry,
    IdempotencyError,
    Journal,
    find_accounts,
    lock_balances,
    open_accounts,
    post,
)
from sinks.ledger_verify import discrepancies, verify_ledger
from sinks.postgres import Connection

pytestmark = pytest.mark.services


no_rights = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def accounts(conn: Connection) -> tuple[int, int]:
    """A source of funds and a budget."""
    return new_accounts(conn)


def new_accounts(conn: Connection, currency: str = "EUR") -> tuple[int, int]:
    owner = (name(), currency)
    source = open_accounts(conn, "campaign_funding", [owner])[owner]
    return source, open_accounts(conn, "campaign_budget", [owner])[owner]


def refused(why: str) -> AbstractContextManager[object]:
    return pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=why)


def funding(source: int, budget: int, amount: int, key: str | None = None) -> Journal:
    entries = (Entry(source, -amount), Entry(budget, amount))
    return Journal("funding", key or name("key"), "a test", entries)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(-500, 1000).filter(bool), min_size=1, max_size=12))
def test_balances_follow_the_entries_and_budgets_are_never_overdrawn(
    session_conn: Connection, amounts: list[int]
) -> None:
    conn = session_conn
    source, budget = new_accounts(conn)
    expected = 0
    for amount in amounts:
        if expected + amount >= 0:
            write(conn, funding(source, budget, amount))
            expected += amount
        else:
            with pytest.raises(psycopg.errors.CheckViolation, match="not_overdrawn"):
                write(conn, funding(source, budget, amount))
    with conn.transaction():
        assert lock_balances(conn, [budget, source]) == {budget: expected, source: -expected}
    assert verify_ledger(conn) == []


def test_accounts_are_opened_once(conn: Connection) -> None:
    owners = [(name(), "EUR"), (name(), "USD")]
    opened = open_accounts(conn, "campaign_budget", owners)
    assert set(opened) == set(owners)
    assert (
        open_accounts(conn, "campaign_budget", [*owners, (name(), "EUR")]).items() >= opened.items()
    )
    assert find_accounts(conn, "promoter_pending", owners) == {}


def test_the_same_key_writes_once(conn: Connection, accounts: tuple[int, int]) -> None:
    once, other = funding(*accounts, 100), funding(*accounts, 7)
    (first,) = write(conn, once)
    again = write(conn, other, once)
    assert again[1] == first
    assert lock_balances(conn, accounts[1:]) == {accounts[1]: 107}


def test_the_same_key_for_something_else_is_an_error(
    conn: Connection, accounts: tuple[int, int]
) -> None:
    write(conn, funding(*accounts, 100, "key " + str(accounts)))
    with pytest.raises(IdempotencyError, match="new request needs a new key"):
        write(conn, funding(*accounts, 101, "key " + str(accounts)))
    assert lock_balances(conn, accounts[1:]) == {accounts[1]: 100}


def write(conn: Connection, *journals: Journal) -> list[int]:
    with conn.transaction():
        return post(conn, journals)


def insert_journal(conn: Connection) -> int:
    return conn.execute(
        "INSERT INTO journals (kind, idempotency_key, fingerprint, description)"
        " VALUES ('funding', %s, sha256(''), '') RETURNING journal_id",
        (name("key"),),
    ).fetchone()[0]


def insert_entries(conn: Connection, journal_id: int, *entries: tuple[int, int]) -> None:
    rows = ", ".join(f"({journal_id}, {account}, {amount})" for account, amount in entries)
    conn.execute(f"INSERT INTO entries (journal_id, account_id, amount_micros) VALUES {rows}")


def test_entries_that_do_not_sum_to_zero_are_refused(
    conn: Connection, accounts: tuple[int, int]
) -> None:
    source, budget = accounts
    for entries in [
        [(source, -10), (budget, 11)],
        [(budget, 10)],
        [(source, -10), (new_accounts(conn, "USD")[1], 10)],
    ]:
        with refused("not to zero"), conn.transaction():
            insert_entries(conn, insert_journal(conn), *entries)


def test_no_order_of_constraint_checks_gets_around_the_sum(
    conn: Connection, accounts: tuple[int, int]
) -> None:
    source, budget = accounts
    third = new_accounts(conn)[1]
    with refused("not to zero"), conn.transaction():
        journal = insert_journal(conn)
        insert_entries(conn, journal, (source, -10), (budget, 10))
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        insert_entries(conn, journal, (third, 5))


def test_a_journal_without_entries_is_refused_at_commit(conn: Connection) -> None:
    with refused("has no entries"), conn.transaction():
        insert_journal(conn)


def test_a_journal_of_an_earlier_transaction_is_closed(
    conn: Connection, accounts: tuple[int, int]
) -> None:
    (journal,) = write(conn, funding(*accounts, 10))
    source, budget = new_accounts(conn)
    with refused("is closed"):
        insert_entries(conn, journal, (source, -10), (budget, 10))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "TRUNCATE {table} CASCADE",
    ],
)
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("accounts", "owner_id"),
        ("journals", "description"),
        ("entries", "amount_micros"),
        ("accruals", "views"),
        ("balances", "balance_micros"),
    ],
)
def test_what_was_written_stays(
    conn: Connection, owner: Connection, statement: str, table: str, column: str
) -> None:
    sql = statement.format(table=table, column=column)
    with refused("append-only"):
        owner.execute(sql)
    updates_a_balance = table == "balances" and statement.startswith("UPDATE")
    why = psycopg.errors.IntegrityError if updates_a_balance else no_rights
    with pytest.raises(why):
        conn.execute(sql)


def test_nobody_writes_a_balance_without_an_entry(
    conn: Connection, owner: Connection, accounts: tuple[int, int]
) -> None:
    insert = f"INSERT INTO balances VALUES ({accounts[1]}, true, 5)"
    with refused("append-only"):
        owner.execute(insert)
    with pytest.raises(no_rights):
        conn.execute(insert)


def test_progress_never_goes_back(conn: Connection, owner: Connection) -> None:
    partition = new_partition()
    book(conn, partition, Progress(), after(Progress()), [])
    with refused("goes back"):
        conn.execute(
            "UPDATE book_progress SET next_scored = next_scored - 1 WHERE partition = %s",
            (partition,),
        )
    with refused("append-only"):
        owner.execute("DELETE FROM book_progress WHERE partition = %s", (partition,))


@pytest.mark.parametrize(
    ("tamper", "check"),
    [
        ("UPDATE balances SET balance_micros = balance_micros + 1", "balance is the sum"),
        ("UPDATE entries SET amount_micros = 2 * abs(amount_micros)", "sum to zero"),
        (
            (
                "UPDATE accruals SET views = 2 * views, amount_micros = 2 * amount_micros,"
                " fee_micros = 2 * fee_micros"
            ),
            "credits what its accruals say",
        ),
        ("DELETE FROM entries", "at least two entries"),
        ("UPDATE campaigns SET budget_micros = budget_micros + 1", "is what was funded"),
    ],
)
def test_verify_finds_what_a_superuser_changed(
    conn: Connection, owner: Connection, tamper: str, check: str
) -> None:
    mine = campaign()
    save(conn, [mine], [])
    book(conn, new_partition(), Progress(), after(Progress()), [table([View(mine.campaign_id)])])
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
        owner.execute(tamper)
        found = {discrepancy.check for discrepancy in discrepancies(owner)}
    assert any(check in each for each in found)
