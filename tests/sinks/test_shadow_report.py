"""The difference in money, against the same done in Python on random blocks."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.blocks import START, block
from support.stores import empty_store

from schemas.block import Block, packed
from schemas.fencing import Stamp
from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks.clickhouse import Client, connect
from sinks.shadow_report import shadow_report, shadow_versions
from sinks.store import insert_block

pytestmark = pytest.mark.services

ROWS = 400
SINCE = datetime.fromtimestamp(START / 1000, UTC)
UNTIL = SINCE + timedelta(days=1)
SCORE, REPEAT, OTHER = (
    reason.bit for reason in (Reason.MODEL_SCORE, Reason.REPEAT_VIEW, Reason.TOR_ADDRESS)
)


@pytest.fixture
def client(stack: Settings) -> Iterator[Client]:
    with connect(empty_store(stack, "clickhouse").url("clickhouse")) as found:
        yield found


def judged(number: int, shadows: str, columns: int) -> Block:
    """A block with many views of few viewers and posts, judged at random."""
    made = block(number * ROWS, ROWS, promoters=4)
    rng = np.random.default_rng(number)
    reasons = rng.choice([0, 0, 0, SCORE, REPEAT, OTHER, SCORE | OTHER], ROWS).astype(np.uint32)
    verdict = np.select(
        [reasons == 0, reasons == REPEAT], [Verdict.VALID, Verdict.UNQUALIFIED], Verdict.INVALID
    )
    changed = {
        "reasons": pa.array(reasons),
        "verdict": pa.array(verdict.astype(np.uint8)),
        "viewer_id": pa.array([f"viewer-{n}" for n in rng.integers(0, 12, ROWS)]),
        "post_id": pa.array([f"post-{n}" for n in rng.integers(0, 4, ROWS)]),
        "shadow_scores": packed(rng.choice([0.1, 0.5, 0.6, 0.9], (ROWS, columns)))
        if columns
        else pa.nulls(ROWS, pa.binary()),
    }
    rows = made.accepted
    for name, column in changed.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return Block(rows, made.refused, {**made.versions, "shadows": shadows})


def insert(client: Client, number: int, made: Block) -> None:
    stamp = Stamp("block", "w", 1, number * ROWS, (number + 1) * ROWS)
    insert_block(client, 0, number + 1, START, stamp, made)


def by_hand(blocks: list[Block], place: int, threshold: float) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 7)
    had: set[tuple[Any, ...]] = set()
    for row in (row for made in blocks for row in made.accepted.to_pylist()):
        sums = found[row["promoter_id"], row["currency"]]
        view = row["viewer_id"], row["post_id"], row["viewed_at"] // 86_400_000
        low = np.frombuffer(row["shadow_scores"], "<f4")[place] < np.float32(threshold)
        pays = bool(low) and not row["reasons"] & OTHER and view not in had
        if pays:
            had.add(view)
        paid, rate = row["verdict"] == Verdict.VALID, row["rate_micros"]
        more = [1, paid, pays, paid and not pays, rate * (paid and not pays),
                pays and not paid, rate * (pays and not paid)]  # fmt: skip
        for i, one in enumerate(more):
            sums[i] += int(one)
    return dict(found)


def test_the_difference_in_views_and_money(client: Client) -> None:
    both = [judged(n, '[["v1", 0.5], ["v2", 0.7]]', 2) for n in range(2)]
    later = judged(2, '[["v2", 0.7]]', 1)
    unwatched = judged(3, "[]", 0)
    gone = judged(4, '[["v2", 0.7]]', 0)  # without Redis
    for number, made in enumerate([*both, later, unwatched, gone]):
        insert(client, number, made)
    assert shadow_versions(client, SINCE, UNTIL) == ["v1", "v2"]
    found = shadow_report(client, "v1", SINCE, UNTIL)
    expected = by_hand(both, 0, 0.5)
    assert sum(row[4] for row in expected.values()) > 0
    assert {(one.promoter_id, one.currency): values(one) for one in found} == expected
    moved = [one.moved_micros for one in found]
    assert moved == sorted(moved, reverse=True)


def test_a_shadow_is_found_by_its_place_in_each_block(client: Client) -> None:
    made = judged(0, '[["v1", 0.5], ["v2", 0.7]]', 2)
    insert(client, 0, made)
    found = shadow_report(client, "v2", SINCE, UNTIL)
    assert {(one.promoter_id, one.currency): values(one) for one in found} == by_hand(
        [made], 1, 0.7
    )


def test_the_period_is_one_of_log_time(client: Client) -> None:
    insert(client, 0, judged(0, '[["v1", 0.5]]', 1))
    assert shadow_report(client, "v1", UNTIL, UNTIL + timedelta(days=1)) == []
    half = shadow_report(client, "v1", SINCE, SINCE + timedelta(seconds=2))
    assert sum(one.views for one in half) == 200
    assert shadow_report(client, "unheard-of", SINCE, UNTIL) == []


def values(one: Any) -> list[int]:
    return [
        one.views, one.champion_views, one.shadow_views, one.denied_views, one.denied_micros,
        one.granted_views, one.granted_micros,
    ]  # fmt: skip
