"""Whatever is killed while a person decides: each view is decided and corrected once.

One seed again: pytest tests/faults/test_review_kills.py --seed 17
"""

import random
from pathlib import Path

import pytest
from support.finance import Finance
from support.payouts import money
from support.reviews import RATE, both, ends, stored_views
from support.stores import empty_store

from pipeline.offsets import topic_ranges
from schemas.settings import Settings
from schemas.topics import CORRECTIONS
from schemas.verdicts import Verdict
from sinks.ledger_verify import verify_ledger
from sinks.reconcile import reconcile
from sinks.settle import settle

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(300)]

KILLS = 6
STEPS = 35
"""About as many as there are in a review."""
VALID, UNQUALIFIED, INVALID, HELD = Verdict


@pytest.mark.parametrize("decided", ["valid", "invalid"])
def test_killed_at_random_steps(
    stack: Settings, tmp_path: Path, fault_seed: int, decided: str
) -> None:
    chance = random.Random(f"{fault_seed} {decided}")
    store = empty_store(stack, "clickhouse", "postgres")
    with both(store) as (conn, client):
        events = stored_views(conn, client, [VALID, INVALID, HELD, UNQUALIFIED, VALID])
        settle(conn)
    env = {"VIEWLEDGER_CLICKHOUSE": store.url("clickhouse"), "VIEWLEDGER_DATA": str(store.data)}
    finance = Finance(store, env, tmp_path)
    words = ("review", "decide", *events[:4], "--as", decided, "--by", "rita", "--note", "why")
    before = sent(store)
    steps = finance.killed_at_steps(*words, chance=chance, kills=KILLS, steps=STEPS)
    print(f"seed {fault_seed}, {decided}: killed at {steps}")
    with both(store) as (conn, client):
        report = reconcile(client, conn, ends(client))
        assert (report.pending, report.differences) == ([], [])
        assert verify_ledger(conn) == []
        ((reviews, corrected),) = conn.execute(
            "SELECT count(*), count(view_correction_id) FROM view_reviews"
        ).fetchall()
        changed = 2 if decided == "valid" else 3
        assert (reviews, corrected) == (4, changed)
        assert sent(store) >= before + changed
        if decided == "valid":
            paid = {"promoter_payable": 2 * RATE, "promoter_pending": 2 * RATE}
        else:
            paid = {"promoter_payable": RATE}
        assert money(conn, "promoter-0") == paid


def sent(store: Settings) -> int:
    return sum(end - begin for begin, end in topic_ranges(store, CORRECTIONS).values())
