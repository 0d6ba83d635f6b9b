"""The flow of a request, where its steps depend on each other."""

import json
import time

import pytest
from support.door import ORIGIN, Keys, fresh, send_as_page

from pipeline.collector.keyring import REFRESH_S
from pipeline.collector.seal_keys import collector_keys
from schemas.settings import Settings
from sinks import postgres
from sinks.api_keys import create_key

pytestmark = pytest.mark.services


@pytest.fixture
def small(stack: Settings, collector: str, keys: Keys) -> Keys:
    """A publishable key with a quota of ten events per minute, which the collector knows."""
    with postgres.connect(stack) as conn:
        token = create_key(
            conn,
            collector_keys(stack),
            "publishable",
            name="small",
            actor="tests",
            origins=[ORIGIN],
            events_per_minute=10,
        )
    time.sleep(2 * REFRESH_S)
    return keys._replace(page=token.text)


def test_events_that_hide_from_the_count_ahead_are_counted_all_the_same(
    collector: str, small: Keys
) -> None:
    def body() -> bytes:
        text = json.dumps([fresh(number) for number in range(6)])
        return text.replace('"occurred_at"', '"occurred\\u005fat"').encode()

    first = send_as_page(collector, small, body())
    assert (first.status_code, first.json()["accepted"]) == (202, 6)
    second = send_as_page(collector, small, body())
    assert (second.status_code, second.json()["type"].rpartition(":")[2]) == (429, "quota")


def test_a_request_beyond_the_quota_is_not_even_read(collector: str, small: Keys) -> None:
    assert send_as_page(collector, small, [fresh(number) for number in range(10)]).is_success
    wrong = [fresh(number, platform="myspace") for number in range(5)]
    assert send_as_page(collector, small, wrong).status_code == 429
