from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corrections import HINDSIGHT, REVIEW, booked, rows, to
from support.ledger import campaign, name
from support.payouts import money, new_campaign

from schemas.verdicts import Verdict
from sinks.catalogue import save_campaigns
from sinks.correct import correct
from sinks.correct_types import Change
from sinks.correct_views import correct_views, judged_until
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection
from sinks.settle import SettleError, settle

pytestmark = pytest.mark.services

VALID, INVALID, HELD = Verdict.VALID, Verdict.INVALID, Verdict.HELD


def test_held_and_valid_views_change_sides(conn: Connection) -> None:
    one = name("p")
    views = booked(conn, new_campaign(conn), [VALID, VALID, HELD, HELD, VALID], one)
    changes = [to(views[1], INVALID), to(views[2], VALID), to(views[3], INVALID)]
    assert correct_views(conn, changes, HINDSIGHT) == 3
    assert money(conn, one) == {"promoter_pending": 3000}
    assert rows(conn, views[1]) == [("hindsight", "valid", "invalid", -1000, 0)]
    assert rows(conn, views[2]) == [("hindsight", "held", "valid", 1000, 0)]
    assert rows(conn, views[3]) == [("hindsight", "held", "invalid", 0, 0)]
    assert correct_views(conn, changes, HINDSIGHT) == 0
    assert money(conn, one) == {"promoter_pending": 3000}
    assert verify_ledger(conn) == []


def test_a_review_may_overturn_once(conn: Connection) -> None:
    one = name("p")
    (view, *_) = booked(conn, new_campaign(conn), [HELD, VALID], one)
    correct_views(conn, [to(view, VALID)], HINDSIGHT)
    with pytest.raises(SettleError, match="is valid by now and not held"):
        correct_views(conn, [to(view, INVALID)], REVIEW)
    overturned = to(view, INVALID, was=VALID)
    assert correct_views(conn, [overturned], REVIEW) == 1
    assert correct_views(conn, [overturned], REVIEW) == 0
    assert correct_views(conn, [to(view, VALID)], HINDSIGHT) == 0
    assert money(conn, one) == {"promoter_pending": 1000}
    assert verify_ledger(conn) == []


def test_what_was_released_comes_from_there(conn: Connection) -> None:
    one = name("p")
    views = booked(conn, new_campaign(conn), [VALID, VALID], one)
    settle(conn)
    correct_views(conn, [to(views[0], INVALID)], HINDSIGHT)
    assert money(conn, one) == {"promoter_payable": 1000}
    assert verify_ledger(conn) == []


def test_capped_views_go_first_and_held_ones_are_capped(conn: Connection) -> None:
    one, mine = name("p"), campaign(3_000, hold_hours=0)
    save_campaigns(conn, [mine])
    views = booked(conn, mine.campaign_id, [VALID] * 5 + [HELD], one)
    correct_views(conn, [to(views[0], INVALID), to(views[5], VALID)], HINDSIGHT)
    # Four valid views were left for the money of three, and the held one found none.
    assert money(conn, one) == {"promoter_pending": 3000}
    assert rows(conn, views[0])[0][3:] == (0, -1000)
    assert rows(conn, views[5])[0][3:] == (0, 1000)
    correct_views(conn, [to(views[1], INVALID), to(views[2], INVALID)], HINDSIGHT)
    assert money(conn, one) == {"promoter_pending": 2000}
    assert verify_ledger(conn) == []


def test_what_was_taken_back_by_number_is_not_taken_twice(conn: Connection) -> None:
    one = name("p")
    views = booked(conn, new_campaign(conn), [VALID, VALID], one)
    ((accrual,),) = conn.execute(
        "SELECT accrual_id FROM accruals WHERE promoter_id = %s", (one,)
    ).fetchall()
    correct(conn, accrual, 2, reason="bot", actor="fred", key=name("k"))
    correct_views(conn, [to(views[0], INVALID)], HINDSIGHT)
    assert money(conn, one) == {}
    assert rows(conn, views[0]) == [("hindsight", "valid", "invalid", 0, 0)]
    assert verify_ledger(conn) == []


def test_nothing_is_taken_back_that_is_not_booked(conn: Connection) -> None:
    (view,) = booked(conn, new_campaign(conn), [VALID], name("p"))
    with pytest.raises(SettleError, match="no accrual counts it"):
        correct_views(conn, [to(view._replace(scored_offset=7), INVALID)], HINDSIGHT)


def test_a_stretch_is_judged_by_one_alone(conn: Connection) -> None:
    before = judged_until(conn)
    at = datetime.now(UTC) if before is None else before + timedelta(hours=1)
    (view,) = booked(conn, new_campaign(conn), [VALID], name("p"))
    assert correct_views(conn, [to(view, INVALID)], HINDSIGHT, (before, at)) == 1
    with pytest.raises(SettleError, match="somebody else"):
        correct_views(conn, [], HINDSIGHT, (before, at))
    assert judged_until(conn) == at
    correct_views(conn, [], HINDSIGHT, (at, at + timedelta(hours=1)))
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        correct_views(conn, [], HINDSIGHT, (at + timedelta(hours=1), at))


def test_the_database_holds_it_for_every_program(conn: Connection, owner: Connection) -> None:
    (view,) = booked(conn, new_campaign(conn), [HELD], name("p"))
    correct_views(conn, [to(view, INVALID)], HINDSIGHT)
    columns = (
        "partition, raw_offset, scored_offset, event_id, log_time, campaign_id, promoter_id,"
        " currency, rate_micros, was, was_reasons, became, became_reasons, paid_micros,"
        " capped_micros, accrual_id, correction_id, model_version, policy_version, lists_version,"
        " rules_version, actor, note"
    )

    def copy(why: str) -> None:
        owner.execute(
            f"INSERT INTO view_corrections (why, {columns}) SELECT '{why}', {columns}"
            " FROM view_corrections WHERE event_id = %s".encode(),
            (view.event_id,),
        )

    with pytest.raises(psycopg.errors.UniqueViolation):
        copy("hindsight")
    # As a review once, but not from another verdict than the view has by now.
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is invalid by now"):
        copy("review")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        owner.execute("DELETE FROM view_corrections WHERE event_id = %s", (view.event_id,))


VERDICTS = st.sampled_from([VALID, VALID, INVALID, HELD])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hindsight", "review", "by number", "settle"]),
        st.lists(st.integers(0, 11), max_size=8, unique=True),
    ),
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    verdicts=st.lists(VERDICTS, min_size=12, max_size=12), budget=st.integers(0, 14), steps=STEPS
)
def test_whatever_is_corrected_the_ledger_agrees(
    session_conn: Connection,
    verdicts: list[Verdict],
    budget: int,
    steps: list[tuple[str, list[int]]],
) -> None:
    conn, one = session_conn, name("p")
    mine = campaign(budget * 1000, hold_hours=0)
    save_campaigns(conn, [mine])
    views = booked(conn, mine.campaign_id, verdicts[:6], one)
    views += booked(conn, mine.campaign_id, verdicts[6:], one)
    now = dict(zip(views, verdicts, strict=True))
    done: dict[str, set[Change]] = {"hindsight": set(), "review": set()}
    by_number = 0
    for what, which in steps:
        if what == "settle":
            settle(conn)
        elif what == "by number":
            found = conn.execute(
                "SELECT accrual_id FROM accruals WHERE promoter_id = %s AND views > coalesce(("
                "SELECT sum(views) FROM corrections AS c WHERE c.accrual_id = accruals.accrual_id)"
                ", 0) ORDER BY accrual_id LIMIT 1",
                (one,),
            ).fetchone()
            if found:
                correct(conn, found[0], 1, reason="bot", actor="fred", key=name("k"))
                by_number += 1
        else:
            changes = []
            for n in which:
                became = INVALID if now[views[n]] == VALID else VALID
                changes.append(to(views[n], became, was=now[views[n]]))
            left = [
                (views[n], change)
                for n, change in zip(which, changes, strict=True)
                if views[n] not in done["review"]
                and not (what == "hindsight" and views[n] in done["hindsight"])
            ]
            source = HINDSIGHT if what == "hindsight" else REVIEW
            assert correct_views(conn, changes, source) == len(left)
            assert correct_views(conn, changes, source) == 0
            for view, change in left:
                done[what].add(view)
                now[view] = change.became
    assert verify_ledger(conn) == []
    ((paid, capped),) = conn.execute(
        "SELECT coalesce(sum(views), 0), coalesce(sum(capped_views), 0) FROM accruals"
        " WHERE promoter_id = %s",
        (one,),
    ).fetchall()
    ((back, off),) = conn.execute(
        "SELECT (SELECT coalesce(sum(corrections.views), 0) FROM corrections JOIN accruals"
        " USING (accrual_id) WHERE promoter_id = %s), count(*) FROM view_corrections"
        " WHERE promoter_id = %s AND capped_micros < 0",
        (one, one),
    ).fetchall()
    unnamed = by_number - len(
        conn.execute(
            "SELECT FROM view_corrections WHERE promoter_id = %s AND was = 'valid'"
            " AND paid_micros = 0 AND capped_micros = 0",
            (one,),
        ).fetchall()
    )
    assert paid + capped - back - off == sum(v == VALID for v in now.values()) - unnamed
    assert sum(money(conn, one).values()) == (paid - back) * 1000
