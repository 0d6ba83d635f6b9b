from datetime import UTC, datetime, timedelta

import pytest
from support.payouts import earn, money, new_campaign, new_promoter

from schemas.seal_keys import Keys
from sinks.correct import CorrectionError, correct
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection
from sinks.settle import SettleError, settle

pytestmark = pytest.mark.services


def test_what_has_passed_its_hold_becomes_payable_once(conn: Connection, keys: Keys) -> None:
    settle(conn)
    one = new_promoter(conn, keys)
    earn(conn, new_campaign(conn), one, 3)
    held = new_campaign(conn, hold_hours=72)
    earn(conn, held, one, 5)
    before = money(conn, one)
    expected = settle(conn, dry_run=True)
    assert money(conn, one) == before
    assert settle(conn) == expected
    assert settle(conn) == []
    assert money(conn, one) == {"promoter_payable": 3000, "promoter_pending": 5000}
    conn.execute("UPDATE campaigns SET hold_hours = 0 WHERE campaign_id = %s", (held,))
    settle(conn)
    assert money(conn, one) == {"promoter_payable": 8000}


def test_until_is_the_end_of_the_hold(conn: Connection, keys: Keys) -> None:
    settle(conn)
    one = new_promoter(conn, keys)
    accrual = earn(conn, new_campaign(conn), one, 1)
    (due,) = conn.execute(
        "SELECT booked_at FROM accruals WHERE accrual_id = %s", (accrual,)
    ).fetchall()[0]
    assert settle(conn, due - timedelta(microseconds=1)) == []
    assert len(settle(conn, due)) == 1
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(SettleError, match="in the future"):
        settle(conn, tomorrow)


def test_the_fee_of_the_platform_is_kept(conn: Connection, keys: Keys) -> None:
    settle(conn)
    one = new_promoter(conn, keys)
    accrual = earn(conn, new_campaign(conn, fee_bp=1250), one, 8)
    correct(conn, accrual, 2, reason="bot", actor="fred", key=f"k{accrual}")
    settle(conn)
    assert money(conn, one) == {"promoter_payable": 6 * 875}
    assert verify_ledger(conn) == []


@pytest.mark.parametrize("settled", [False, True])
def test_a_correction_takes_money_from_where_it_is(
    conn: Connection, keys: Keys, settled: bool
) -> None:
    one, other = new_promoter(conn, keys), new_promoter(conn, keys)
    campaign = new_campaign(conn)
    accrual = earn(conn, campaign, one, 10)
    earn(conn, campaign, other, 4)
    if settled:
        settle(conn)
    where = "promoter_payable" if settled else "promoter_pending"
    done = correct(conn, accrual, 3, reason="bot", actor="fred", key=f"a{accrual}")
    assert (done.amount_micros, done.net_micros, done.debt_micros) == (3000, 3000, 0)
    assert correct(conn, accrual, 3, reason="bot", actor="fred", key=f"a{accrual}") == done
    assert money(conn, one) == {where: 7000}
    correct(conn, accrual, 7, reason="bot", actor="fred", key=f"b{accrual}")
    assert money(conn, one) == {}
    for views in (1, 0, -1):
        with pytest.raises(CorrectionError, match="cannot be taken back"):
            correct(conn, accrual, views, reason="bot", actor="fred", key=f"c{accrual}")
    with pytest.raises(CorrectionError, match="take a new one"):
        correct(conn, accrual, 4, reason="bot", actor="fred", key=f"a{accrual}")
    with pytest.raises(CorrectionError, match="there is no paid accrual"):
        correct(conn, 2**40, 1, reason="bot", actor="fred", key="x")
    assert verify_ledger(conn) == []
