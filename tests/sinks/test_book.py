import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import View, after, campaign, name, new_partition, table

from schemas.fencing import Progress
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks.book import Booked, MovedError, book, load_progress
from sinks.catalogue import save
from sinks.ledger import find_accounts
from sinks.ledger_verify import Total, ledger_totals, verify_ledger
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services

RATES = (1000, 700)


def totals(conn: Connection, campaigns: list[str]) -> dict[tuple[str, str], Total]:
    found = ledger_totals(conn)
    return {
        (row.campaign_id, row.promoter_id): row for row in found if row.campaign_id in campaigns
    }


def balance(conn: Connection, kind: str, owner: str) -> int:
    row = conn.execute(
        "SELECT balance_micros FROM accounts JOIN balances USING (account_id)"
        " WHERE kind = %s AND owner_id = %s",
        (kind, owner),
    ).fetchone()
    return row[0] if row else 0


def paid_one_by_one(views: list[View], budgets: dict[str, int]) -> Counter[tuple[str, str]]:
    """What promoters get when every view of the log is decided on alone."""
    left, earned = dict(budgets), Counter()
    for view in views:
        if view.verdict == Verdict.VALID and view.rate_micros <= left[view.campaign_id]:
            left[view.campaign_id] -= view.rate_micros
            earned[view.campaign_id, view.promoter_id] += view.rate_micros
    return earned


log = st.lists(
    st.tuples(
        st.integers(0, 2),  # campaign
        st.integers(0, 2),  # promoter
        st.sampled_from(RATES),
        st.sampled_from([1, 1, 1, 2, 3, 4]),  # verdict
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=log,
    cuts=st.lists(st.integers(0, 30), max_size=4),
    budgets=st.tuples(*[st.sampled_from([0, 699, 700, 5_500, 10**9])] * 3),
)
def test_any_cut_of_the_log_books_the_same_and_to_the_micro(
    session_conn: Connection,
    log: list[tuple[int, int, int, int]],
    cuts: list[int],
    budgets: tuple[int, int, int],
) -> None:
    conn = session_conn
    campaigns = [campaign(budget) for budget in budgets]
    save(conn, campaigns, [])
    ids = [each.campaign_id for each in campaigns]
    promoters = [name("p") for _ in range(3)]
    views = [
        View(ids[c], promoters[p], rate_micros=rate, verdict=verdict) for c, p, rate, verdict in log
    ]

    at, partition, booked_views = Progress(), new_partition(), 0
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(views)], strict=True):
        blocks = [table(views[start : start + 5][: end - start]), table(views[start + 5 : end])]
        booked = book(conn, partition, at, after(at), blocks)
        booked_views += booked.views + booked.capped_views
        at = after(at)

    valid = [view for view in views if view.verdict == Verdict.VALID]
    assert booked_views == len(valid)
    earned = paid_one_by_one(views, dict(zip(ids, budgets, strict=True)))
    found = totals(conn, ids)
    assert {key: row.amount_micros for key, row in found.items() if row.amount_micros} == earned
    asked = Counter[tuple[str, str]]()
    for view in valid:
        asked[view.campaign_id, view.promoter_id] += view.rate_micros
    assert {key: row.amount_micros + row.capped_micros for key, row in found.items()} == asked
    for owner, budget in zip(ids, budgets, strict=True):
        spent = sum(amount for (campaign_id, _), amount in earned.items() if campaign_id == owner)
        assert balance(conn, "campaign_budget", owner) == budget - spent >= 0
    for promoter in promoters:
        assert balance(conn, "promoter_pending", promoter) == sum(
            amount for (_, promoter_id), amount in earned.items() if promoter_id == promoter
        )
    assert load_progress(conn)[partition] == at
    assert verify_ledger(conn) == []


def test_many_bookers_never_overspend_and_leave_nothing_over(books: Settings) -> None:
    bookers, rounds, rate = 6, 12, 300
    scarce = [campaign(budget_micros=budget) for budget in (100_000, 250_100, 0)]
    promoters = [name("p") for _ in range(7)]
    with connect(books) as conn:
        save(conn, scarce, [])
    start = threading.Barrier(bookers)

    def run(number: int) -> list[Booked]:
        at, partition, done = Progress(), new_partition(), []
        with connect(books) as conn:
            start.wait()
            for turn in range(rounds):
                order = scarce if (number + turn) % 2 else scarce[::-1]
                views = [
                    View(each.campaign_id, promoters[(n * 3 + number) % 7], rate_micros=rate)
                    for n in range(20)
                    for each in order
                ]
                done.append(book(conn, partition, at, after(at), [table(views)]))
                at = after(at)
        return done

    with ThreadPoolExecutor(bookers) as pool:
        booked = [each for done in pool.map(run, range(bookers)) for each in done]
    payable = [min(each.budget_micros // rate, bookers * rounds * 20) for each in scarce]
    with connect(books) as conn:
        found = totals(conn, [each.campaign_id for each in scarce])
        for each, views in zip(scarce, payable, strict=True):
            mine = [row for row in found.values() if row.campaign_id == each.campaign_id]
            assert sum(row.views for row in mine) == views
            left = balance(conn, "campaign_budget", each.campaign_id)
            assert left == each.budget_micros - views * rate
        assert verify_ledger(conn) == []
    assert sum(each.views for each in booked) == sum(payable)
    assert sum(each.views + each.capped_views for each in booked) == bookers * rounds * 60


def test_summary_says_what_was_booked(conn: Connection) -> None:
    euro, yen = campaign(budget_micros=2_500), campaign(currency="JPY")
    save(conn, [euro, yen], [])
    views = [View(euro.campaign_id)] * 4 + [View(yen.campaign_id, currency="JPY", rate_micros=7)]
    booked = book(conn, new_partition(), Progress(), after(Progress()), [table(views)])
    assert booked == Booked(3, 2, {"EUR": 2000, "JPY": 7}, {"EUR": 2000, "JPY": 0}, 2)


def test_without_valid_views_only_the_progress_moves(conn: Connection) -> None:
    partition, held = new_partition(), View(name(), verdict=int(Verdict.HELD))
    first, second = after(Progress()), after(after(Progress()))
    assert book(conn, partition, Progress(), first, []) == Booked(0, 0, {}, {}, 0)
    assert book(conn, partition, first, second, [table([held])]).views == 0
    assert load_progress(conn)[partition] == second


def test_campaign_without_a_budget_account_is_capped(conn: Connection) -> None:
    gone, other = name(), campaign()
    save(conn, [other], [])
    views = [View(gone), View(other.campaign_id), View(other.campaign_id, currency="USD")]
    booked = book(conn, new_partition(), Progress(), after(Progress()), [table(views)])
    assert (booked.views, booked.capped_views) == (1, 2)
    assert totals(conn, [gone])[gone, "p"].capped_micros == 1000


def test_who_finds_the_partition_moved_books_nothing(conn: Connection) -> None:
    mine, partition = campaign(), new_partition()
    save(conn, [mine], [])
    views = table([View(mine.campaign_id)])
    book(conn, partition, Progress(), after(Progress()), [views])
    for stale in (Progress(), after(Progress(), messages=2), after(Progress(), events=11)):
        with pytest.raises(MovedError, match=f"partition {partition} is at") as moved:
            book(conn, partition, stale, after(stale), [views])
        assert moved.value.found == after(Progress())
    assert totals(conn, [mine.campaign_id])[mine.campaign_id, "p"].views == 1


def test_a_booker_that_is_killed_leaves_nothing(books: Settings, owner: Connection) -> None:
    mine, partition = campaign(), new_partition()
    views = [table([View(mine.campaign_id)] * 3)]
    with connect(books) as conn, connect(books) as victim, ThreadPoolExecutor(1) as pool:
        save(conn, [mine], [])
        whose = (mine.campaign_id, "EUR")
        budget = find_accounts(conn, "campaign_budget", [whose])[whose]
        with conn.transaction():
            conn.execute("SELECT FROM balances WHERE account_id = %s FOR UPDATE", (budget,))
            booking = pool.submit(book, victim, partition, Progress(), after(Progress()), views)
            wait_until_blocked(conn, victim.info.backend_pid, booking)
            owner.execute("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,))
            with pytest.raises(psycopg.OperationalError):
                booking.result()
        assert partition not in load_progress(conn)
        assert totals(conn, [mine.campaign_id]) == {}
        assert book(conn, partition, Progress(), after(Progress()), views).views == 3
        assert verify_ledger(conn) == []


def test_a_deadlock_is_tried_again(books: Settings) -> None:
    mine, promoter, partition = campaign(), name("p"), new_partition()
    views = [table([View(mine.campaign_id, promoter)])]
    first = after(Progress())
    with connect(books) as conn, connect(books) as rival, ThreadPoolExecutor(1) as pool:
        save(conn, [mine], [])
        book(conn, partition, Progress(), first, views)
        before = deadlocks(rival)
        # The rival locks against the order, and is patient: the booker is the one to give in.
        for one, timeout in ((rival, "60s"), (conn, "5s")):
            one.execute("SET ROLE NONE")
            one.execute(f"SET deadlock_timeout = '{timeout}'")
        conn.execute("SET ROLE viewledger_app")
        lock = (
            "SELECT FROM balances JOIN accounts USING (account_id) WHERE kind = %s"
            " AND owner_id = %s FOR UPDATE OF balances"
        )
        with rival.transaction():
            rival.execute(lock, ("promoter_pending", promoter))
            booking = pool.submit(book, conn, partition, first, after(first), views)
            wait_until_blocked(rival, conn.info.backend_pid, booking)
            rival.execute(lock, ("campaign_budget", mine.campaign_id))
        assert booking.result().views == 1
        assert deadlocks(rival) > before
    with connect(books) as conn:
        assert totals(conn, [mine.campaign_id])[mine.campaign_id, promoter].views == 2


def deadlocks(conn: Connection) -> int:
    conn.execute("SELECT pg_stat_force_next_flush()")
    row = conn.execute(
        "SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return row[0]


def wait_until_blocked(conn: Connection, pid: int, booking: Future[Booked]) -> None:
    while not conn.execute("SELECT pg_blocking_pids(%s) <> '{}'", (pid,)).fetchone()[0]:
        assert not booking.done(), "it waited for nobody"
        time.sleep(0.01)
