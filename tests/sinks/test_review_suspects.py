from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blocks import START
from support.reviews import RATE, both, decided, stored_views
from support.stores import empty_store

from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.review_queue import held_groups, held_views
from sinks.review_suspects import LEAST_VIEWS, TIMES, Suspect, find_suspects, near_views, wilson

VALID, UNQUALIFIED, INVALID, HELD = Verdict
AT = datetime.fromtimestamp(START / 1e3, UTC)
PERIOD = (AT - timedelta(days=1), AT + timedelta(days=1))
MODEL = {"m1": 0.8}
"""Of the blocks of `support.blocks`."""


@pytest.fixture(scope="module")
def databases(stack: Settings) -> Iterator[tuple[Connection, Client]]:
    """Views of many promoters, a large one among them, and of two who are not like them."""
    with both(empty_store(stack, "clickhouse", "postgres")) as (conn, client):
        rows: list[tuple[str, Verdict, float]] = [
            *[(f"p{n % 10}", VALID, 0.1) for n in range(1_000)],
            *[(f"p{n % 10}", INVALID, 0.9) for n in range(30)],
            *[("large", INVALID, 0.9)] * 30,
            *[("large", VALID, 0.1)] * 600,
            *[("cheat", INVALID, 0.95)] * 25,
            *[("cheat", VALID, 0.05)] * 25,
            *[("sly", VALID, 0.41)] * 30,
            *[("small", INVALID, 0.99)] * (LEAST_VIEWS - 1),
        ]
        names, verdicts, scores = zip(*rows, strict=True)
        stored_views(
            conn,
            client,
            verdicts,
            promoter_id=names,
            score=[score + n / 10**5 for n, score in enumerate(scores)],
        )
        stored_views(
            conn,
            client,
            [HELD] * 5 + [VALID],
            partition=1,
            promoter_id=["a", "a", "a", "b", "b", "a"],
            reasons=[Reason.VELOCITY_UNAVAILABLE.bit] * 4 + [Reason.MODEL_UNAVAILABLE.bit, 0],
        )
        yield conn, client


def suspects(databases: tuple[Connection, Client], **known: float) -> dict[str, Suspect]:
    conn, client = databases
    return {one.promoter_id: one for one in find_suspects(client, conn, *PERIOD, known)}


@pytest.mark.services
def test_who_is_listed_and_why(databases: tuple[Connection, Client]) -> None:
    found = suspects(databases, **MODEL)
    assert list(found) == ["sly", "cheat"]  # by views beyond what is usual
    cheat, sly = found["cheat"], found["sly"]
    assert [(one.kind, one.views) for one in cheat.evidence if one.listed] == [("model", 25)]
    assert [(one.kind, one.views) for one in sly.evidence if one.listed] == [("near", 30)]
    (model,) = [one for one in cheat.evidence if one.listed]
    assert model.share == 0.5
    assert model.others == pytest.approx((60 + LEAST_VIEWS - 1) / (1_030 + 630 + 30 + 19 + 6))
    assert model.at_least > TIMES * model.others
    assert cheat.excess == pytest.approx(25 - model.others * 50)
    assert cheat.unpaid_micros == {"EUR": 25 * RATE}
    assert (cheat.reviewed, cheat.found_invalid) == (0, 0)


@pytest.mark.services
def test_another_period_and_another_model(databases: tuple[Connection, Client]) -> None:
    conn, client = databases
    assert list(suspects(databases, other=0.8)) == ["cheat"]
    assert list(suspects(databases)) == ["cheat"]
    assert find_suspects(client, conn, AT + timedelta(days=1), PERIOD[1], MODEL) == []


@pytest.mark.services
def test_the_nearest_first_until_they_are_reviewed(
    databases: tuple[Connection, Client],
) -> None:
    conn, client = databases
    shown = near_views(client, conn, "sly", *PERIOD, MODEL, 10)
    assert len(shown) == 10
    assert [one.score for one in shown] == sorted((one.score for one in shown), reverse=True)
    upheld = decided(conn, client, [shown[0].event_id], "valid")
    assert [one.outcome for one in upheld.values()] == ["upheld"]
    decided(conn, client, [shown[1].event_id], "invalid")
    assert near_views(client, conn, "sly", *PERIOD, MODEL, 8) == shown[2:]
    sly = suspects(databases, **MODEL)["sly"]
    assert (sly.reviewed, sly.found_invalid) == (2, 1)
    assert sly.unpaid_micros == {"EUR": 29 * RATE}


@pytest.mark.services
def test_held_views_wait_in_groups(databases: tuple[Connection, Client]) -> None:
    conn, client = databases
    groups = held_groups(client)
    assert [(one.promoter_id, one.views, one.micros, one.reasons) for one in groups] == [
        ("a", 3, 3 * RATE, ["velocity_unavailable"]),
        ("b", 1, RATE, ["model_unavailable"]),
        ("b", 1, RATE, ["velocity_unavailable"]),
    ]
    assert {one.campaign_id for one in groups} == {"campaign-1"}
    assert groups[0].oldest < groups[0].newest
    first, second, *_ = held_views(client, "a", 10)
    assert first.log_time < second.log_time
    assert held_views(client, "a", 1) == [first]
    decided(conn, client, [first.event_id], "invalid")
    assert held_views(client, "a", 1) == [second]
    assert held_groups(client)[0].views == 2


@given(views=st.integers(1, 10**6), data=st.data())
def test_the_interval_begins_below_the_share(views: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, views))
    assert 0 <= wilson(count, views) <= count / views + 1e-12
    assert wilson(count, views) <= wilson(count * 10, views * 10) + 1e-12
