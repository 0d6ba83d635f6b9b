from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import View, after, campaign, name, new_partition, table

from schemas.catalogue import Campaign
from schemas.fencing import Progress
from schemas.settings import Settings
from sinks.book import book
from sinks.campaign_money import fund_campaign, refund_campaign
from sinks.catalogue import load_catalogue, save_campaigns
from sinks.catalogue_file import CatalogueError
from sinks.ledger import IdempotencyError
from sinks.ledger_fund import remaining_budgets
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services
change = msgspec.structs.replace


def saved(conn: Connection, budget_micros: int = 0) -> str:
    mine = campaign(budget_micros)
    save_campaigns(conn, [mine])
    return mine.campaign_id


def found(conn: Connection, campaign_id: str) -> tuple[Campaign, int]:
    rows = remaining_budgets(conn)
    return next((each, left) for each, left in rows if each.campaign_id == campaign_id)


def spend(conn: Connection, campaign_id: str, views: int) -> int:
    batch = [table([View(campaign_id)] * views)]
    return book(conn, new_partition(), Progress(), after(Progress()), batch).views * 1000


steps = st.one_of(
    st.tuples(st.just("fund"), st.integers(1, 9_999)),
    st.tuples(st.just("refund"), st.none() | st.integers(1, 9_999)),
    st.tuples(st.just("spend"), st.integers(0, 5)),
    st.tuples(st.just("import"), st.integers(0, 9_999)),
    st.tuples(st.just("again"), st.just(0)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=8))
def test_a_budget_is_what_was_funded_minus_refunds_and_spending(
    session_conn: Connection, steps: list[tuple[str, int | None]]
) -> None:
    conn, left, spent = session_conn, 0, 0
    campaign_id, done = saved(session_conn), []
    for what, amount in steps:
        key = name("key")
        if what == "fund":
            left += fund_campaign(conn, campaign_id, amount, key).amount_micros
            done.append((fund_campaign, amount, key))
        elif what == "refund" and (amount or 1) <= left:
            left -= refund_campaign(conn, campaign_id, amount, key).amount_micros
            done.append((refund_campaign, amount, key))
        elif what == "refund":
            with pytest.raises(CatalogueError, match="are left"):
                refund_campaign(conn, campaign_id, amount, key)
        elif what == "spend":
            paid = spend(conn, campaign_id, amount)
            left, spent = left - paid, spent + paid
        elif what == "import" and amount >= spent:
            save_campaigns(conn, [change(found(conn, campaign_id)[0], budget_micros=amount)])
            left = amount - spent
        elif what == "again":
            for move, earlier, used in done:
                assert move(conn, campaign_id, earlier, used).repeated
        known, now_left = found(conn, campaign_id)
        assert (known.budget_micros, now_left) == (left + spent, left)
    assert verify_ledger(conn) == []


def test_a_key_works_once(conn: Connection) -> None:
    campaign_id, other, key = saved(conn), saved(conn), name("key")
    first = fund_campaign(conn, campaign_id, 500, key)
    assert (first.amount_micros, first.left_micros, first.repeated) == (500, 500, False)
    again = fund_campaign(conn, campaign_id, 500, key)
    assert again == first._replace(repeated=True)
    for move, owner, amount in [
        (fund_campaign, campaign_id, 501),
        (fund_campaign, other, 500),
        (refund_campaign, campaign_id, 500),
        (refund_campaign, campaign_id, None),
    ]:
        with pytest.raises(IdempotencyError, match="a new request needs a new key"):
            move(conn, owner, amount, key)
    assert found(conn, campaign_id)[1] == 500


def test_all_that_is_left_goes_back_once(conn: Connection) -> None:
    campaign_id, key = saved(conn, 5_500), name("key")
    spend(conn, campaign_id, 3)
    assert refund_campaign(conn, campaign_id, None, key)[1:] == (2_500, "EUR", 0, False)
    fund_campaign(conn, campaign_id, 77, name("key"))
    assert refund_campaign(conn, campaign_id, None, key)[1:] == (2_500, "EUR", 77, True)
    assert found(conn, campaign_id)[0].budget_micros == 3_077


def test_says_what_is_left_and_what_is_wrong(conn: Connection) -> None:
    campaign_id = saved(conn, 2_500)
    for move, owner, amount, said in [
        (refund_campaign, campaign_id, 2_501, r"0\.002500 EUR are left; no more than that"),
        (refund_campaign, saved(conn), None, r"0\.000000 EUR are left; nothing can be"),
        (refund_campaign, campaign_id, 0, "more than zero"),
        (fund_campaign, campaign_id, -5, "more than zero"),
        (fund_campaign, campaign_id, 10**18, "no more than 999,999,999,999.997500 EUR"),
        (fund_campaign, name(), 5, "is not in the catalogue"),
    ]:
        with pytest.raises(CatalogueError, match=said):
            move(conn, owner, amount, name("key"))
    assert found(conn, campaign_id)[1] == 2_500


def test_a_campaign_is_scored_by_a_catalogue_that_knows_its_budget(conn: Connection) -> None:
    campaign_id = saved(conn)
    before = load_catalogue(conn).version
    fund_campaign(conn, campaign_id, 5, name("key"))
    catalogue = load_catalogue(conn)
    assert catalogue.version > before
    assert catalogue.campaigns[campaign_id].budget_micros == 5


def test_many_at_once_with_one_key_do_it_once(books: Settings) -> None:
    key = name("key")
    with connect(books) as conn:
        campaign_id = saved(conn, 1_000)

    def refund(_: int) -> bool:
        with connect(books) as mine:
            return refund_campaign(mine, campaign_id, 600, key).repeated

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(refund, range(6))) == [False] + [True] * 5
    with connect(books) as conn:
        assert found(conn, campaign_id)[1] == 400
        assert verify_ledger(conn) == []


def test_an_import_beside_it_neither_deadlocks_nor_loses_money(books: Settings) -> None:
    with connect(books) as conn:
        mine = campaign(1_000)
        save_campaigns(conn, [mine])

    def run(number: int) -> None:
        with connect(books) as conn:
            for turn in range(15):
                if number % 2:
                    fund_campaign(conn, mine.campaign_id, 100, name("key"))
                else:
                    save_campaigns(conn, [change(mine, budget_micros=1_000 + turn)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    with connect(books) as conn:
        known, left = found(conn, mine.campaign_id)
        assert known.budget_micros == left
        assert verify_ledger(conn) == []
