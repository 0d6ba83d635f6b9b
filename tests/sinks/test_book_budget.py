"""Fees and daily budgets, booked in a real ledger."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import pairwise

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import HOUR_MS, View, after, campaign, name, new_partition, table

from schemas.fencing import Progress
from schemas.settings import Settings
from sinks.book import book
from sinks.catalogue import save, save_campaigns
from sinks.ledger import PLATFORM
from sinks.ledger_verify import discrepancies, verify_ledger
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services

DAY_MS = 24 * HOUR_MS
START = 1_760_000_000_000 // DAY_MS * DAY_MS
RATES = (1000, 733)
log = st.lists(
    st.tuples(
        st.integers(0, 2),  # campaign
        st.integers(0, 1),  # promoter
        st.sampled_from(RATES),
        st.sampled_from([0, 0, 1, DAY_MS - 1, DAY_MS, DAY_MS + 1, 2 * DAY_MS]),
    ),
    max_size=30,
)
terms = st.tuples(
    st.sampled_from([0, 2_500, 6_000, 10**9]),
    st.none() | st.sampled_from([0, 733, 2_400, 4_000, 10**9]),
    st.sampled_from([0, 1, 250, 3_333, 10_000]),
)


def balances(conn: Connection, kind: str, owners: list[str]) -> Counter[tuple[str, str]]:
    rows = conn.execute(
        "SELECT owner_id, currency, balance_micros FROM accounts JOIN balances USING (account_id)"
        " WHERE kind = %s AND owner_id = ANY (%s)",
        (kind, owners),
    )
    return Counter({(owner, currency): micros for owner, currency, micros in rows if micros})


def spent_by_day(conn: Connection, campaign_id: str) -> dict[date, int]:
    rows = conn.execute(
        "SELECT day, spent_micros FROM campaign_days WHERE campaign_id = %s", (campaign_id,)
    )
    return dict(rows.fetchall())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=log,
    cuts=st.lists(st.integers(0, 30), max_size=4),
    terms=st.tuples(terms, terms, terms),
)
def test_any_cut_pays_view_by_view_what_budget_and_day_cover(
    session_conn: Connection,
    log: list[tuple[int, int, int, int]],
    cuts: list[int],
    terms: tuple[tuple[int, int | None, int], ...],
) -> None:
    conn = session_conn
    campaigns = [
        campaign(budget, daily_budget_micros=daily, fee_bp=fee_bp)
        for budget, daily, fee_bp in terms
    ]
    save(conn, campaigns, [])
    promoters = [name("p"), name("p")]
    fees_before = balances(conn, "platform_fee", [PLATFORM])
    views = [
        View(campaigns[c].campaign_id, promoters[p], rate_micros=rate, log_time=START + at)
        for c, p, rate, at in log
    ]

    at, partition = Progress(), new_partition()
    for start, end in pairwise([0, *sorted(cuts), len(views)]):
        book(conn, partition, at, after(at), [table(views[start:end])])
        at = after(at)

    earned: Counter[tuple[str, str]] = Counter()
    days: Counter[tuple[str, date]] = Counter()
    fees, left = 0, {each.campaign_id: each.budget_micros for each in campaigns}
    by_id = {each.campaign_id: each for each in campaigns}
    for view in views:
        each, rate = by_id[view.campaign_id], view.rate_micros
        key = (view.campaign_id, datetime.fromtimestamp(view.log_time / 1000, UTC).date())
        limit = each.daily_budget_micros
        if rate <= left[view.campaign_id] and (limit is None or days[key] + rate <= limit):
            left[view.campaign_id] -= rate
            days[key] += rate
            fee = rate * each.fee_bp // 10_000
            earned[view.promoter_id, "EUR"] += rate - fee
            fees += fee
    assert balances(conn, "promoter_pending", promoters) == +earned
    assert balances(conn, "campaign_budget", list(by_id)) == +Counter(
        {(one, "EUR"): micros for one, micros in left.items()}
    )
    assert balances(conn, "platform_fee", [PLATFORM]) - fees_before == +Counter(
        {(PLATFORM, "EUR"): fees}
    )
    for campaign_id in by_id:
        mine = {day: micros for (one, day), micros in days.items() if one == campaign_id and micros}
        assert spent_by_day(conn, campaign_id) == mine
    assert verify_ledger(conn) == []


def test_many_bookers_never_overspend_a_day_and_leave_nothing_over(books: Settings) -> None:
    bookers, rounds, rate = 5, 8, 300
    limited = [
        campaign(daily_budget_micros=daily, fee_bp=250) for daily in (30_000, 70_100, None, 0)
    ]
    with connect(books) as conn:
        save(conn, limited, [])
    start = threading.Barrier(bookers)

    def run(number: int) -> None:
        at, partition = Progress(), new_partition()
        with connect(books) as conn:
            start.wait()
            for turn in range(rounds):
                order = limited if (number + turn) % 2 else limited[::-1]
                views = [
                    View(each.campaign_id, rate_micros=rate, log_time=START + (n % 2) * DAY_MS)
                    for n in range(20)
                    for each in order
                ]
                book(conn, partition, at, after(at), [table(views)])
                at = after(at)

    with ThreadPoolExecutor(bookers) as pool:
        list(pool.map(run, range(bookers)))
    asked = bookers * rounds * 10
    with connect(books) as conn:
        for each in limited:
            daily = each.daily_budget_micros
            most = asked if daily is None else min(asked, daily // rate)
            spent = spent_by_day(conn, each.campaign_id)
            assert sorted(spent.values()) == ([most * rate] * 2 if most else [])
        assert verify_ledger(conn) == []


def test_a_daily_budget_that_comes_later_counts_what_the_day_has_cost(conn: Connection) -> None:
    mine = campaign()
    save(conn, [mine], [])
    views = [table([View(mine.campaign_id)] * 3)]
    partition, first = new_partition(), after(Progress())
    assert book(conn, partition, Progress(), first, views).views == 3
    save_campaigns(conn, [msgspec.structs.replace(mine, daily_budget_micros=5_000)])
    assert book(conn, partition, first, after(first), views)[:2] == (2, 1)


def test_a_new_fee_is_that_of_what_is_booked_then(conn: Connection) -> None:
    mine, promoter = campaign(fee_bp=0), name("p")
    save(conn, [mine], [])
    at, partition = Progress(), new_partition()
    for fee_bp in (0, 1_000, 10_000):
        save_campaigns(conn, [msgspec.structs.replace(mine, fee_bp=fee_bp)])
        book(conn, partition, at, after(at), [table([View(mine.campaign_id, promoter)])])
        at = after(at)
    rows = conn.execute(
        "SELECT fee_bp, amount_micros, fee_micros FROM accruals WHERE campaign_id = %s"
        " ORDER BY accrual_id",
        (mine.campaign_id,),
    ).fetchall()
    assert rows == [(0, 1000, 0), (1_000, 1000, 100), (10_000, 1000, 1000)]
    assert balances(conn, "promoter_pending", [promoter])[promoter, "EUR"] == 1900
    assert verify_ledger(conn) == []


def test_currencies_stand_side_by_side(conn: Connection) -> None:
    prices = {"EUR": 2_500, "USD": 333, "JPY": 1_500_000, "KWD": 1}
    campaigns = {
        currency: campaign(10 * rate, currency=currency, rate_micros=rate, fee_bp=2_000)
        for currency, rate in prices.items()
    }
    save(conn, campaigns.values(), [])
    promoter = name("p")
    fees_before = balances(conn, "platform_fee", [PLATFORM])
    views = [
        View(campaigns[currency].campaign_id, promoter, currency, rate)
        for _ in range(12)
        for currency, rate in prices.items()
    ]
    # Another currency than the campaign's has no budget: nothing is converted.
    views.append(View(campaigns["EUR"].campaign_id, promoter, "USD", 1))
    booked = book(conn, new_partition(), Progress(), after(Progress()), [table(views)])
    assert booked.amount_micros == {currency: 10 * rate for currency, rate in prices.items()}
    assert booked.capped_micros == {
        currency: 2 * rate + (currency == "USD") for currency, rate in prices.items()
    }
    fee = {"EUR": 500, "USD": 66, "JPY": 300_000, "KWD": 0}
    assert balances(conn, "promoter_pending", [promoter]) == Counter(
        {(promoter, currency): 10 * (rate - fee[currency]) for currency, rate in prices.items()}
    )
    fees = balances(conn, "platform_fee", [PLATFORM]) - fees_before
    assert fees == +Counter({(PLATFORM, currency): 10 * micros for currency, micros in fee.items()})
    assert verify_ledger(conn) == []


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE campaign_days SET spent_micros = spent_micros - 1", "does not become less"),
        ("UPDATE campaign_days SET day = day + 1", "does not become less"),
        ("DELETE FROM campaign_days", "append-only"),
        ("TRUNCATE campaign_days", "append-only"),
        ("UPDATE campaign_rates SET rate_micros = 1", "append-only"),
        ("DELETE FROM campaign_rates", "append-only"),
        ("TRUNCATE campaign_rates", "append-only"),
    ],
)
def test_what_was_written_stays(
    conn: Connection, owner: Connection, statement: str, why: str
) -> None:
    mine = campaign()
    save(conn, [mine], [])
    book(conn, new_partition(), Progress(), after(Progress()), [table([View(mine.campaign_id)])])
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=why):
        owner.execute(statement)
    if not statement.startswith("UPDATE campaign_days"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


@pytest.mark.parametrize(
    ("tamper", "check"),
    [
        ("UPDATE campaign_days SET spent_micros = spent_micros + 1", "day is what its accruals"),
        (
            "UPDATE accruals SET fee_bp = 5000, fee_micros = views * (rate_micros * 5000 / 10000)",
            "credits what its accruals say",
        ),
        ("DELETE FROM campaign_days", "day is what its accruals"),
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
        found = [one.check for one in discrepancies(owner)]
    assert any(check in each for each in found)
