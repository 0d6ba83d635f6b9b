"""Whatever comes, and however it is cut into blocks: each event is in exactly one row."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogue import CATALOGUE, HOUR, FixedCatalogue
from support.events import NOW, encode, record
from support.registry import save_small
from support.shared import LocalShared

from models.attribution import attribute
from models.features import NAMES, features_digest
from models.judge import Judge
from models.registry import load_model
from pipeline.score.admit import Clock
from pipeline.score.state import State, empty_state
from pipeline.score.steps import Scored, Tools, score
from schemas.block import ACCEPTED, REFUSED, Block, Shadow, decode_block
from schemas.catalogue import Rates
from schemas.chosen import Chosen
from schemas.verdicts import Reason, Refusal, Verdict

JUDGE = Judge("champion")
WATCHED = {"user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)"}


def tools(shared: Any = None) -> Tools:
    return Tools(
        FixedCatalogue(CATALOGUE),  # type: ignore[arg-type]
        JUDGE,
        shared or LocalShared(),  # type: ignore[arg-type]
        Clock(late_ms=24 * HOUR, future_ms=300_000),
        asyncio.Lock(),
    )


def in_blocks(records: Sequence[Any], cuts: Sequence[int]) -> list[Scored]:
    """Scores records of one partition as blocks that end at `cuts`."""

    async def run() -> list[Scored]:
        state, shared = empty_state(27), tools()
        bounds = [0, *sorted(cuts), len(records)]
        return [
            await score(records[start:stop], 0, state, shared) for start, stop in pairwise(bounds)
        ]

    return asyncio.run(run())


def one_block(records: Sequence[Any], state: State | None = None, shared: Any = None) -> Block:
    made = asyncio.run(score(records, 0, state or empty_state(27), shared or tools()))
    return decode_block(made.value)


class Outcome(NamedTuple):
    """What one raw offset came to."""

    accepted: bool
    event_id: str | None
    refusal: int = 0
    verdict: int = 0
    reasons: int = 0
    score: float | None = None
    attrs: str | None = None


def outcomes(blocks: Sequence[Block]) -> dict[int, Outcome]:
    """By raw offset; fails where an offset has two rows."""
    found: dict[int, Outcome] = {}
    for block in blocks:
        rows = [
            (
                row["raw_offset"],
                Outcome(
                    True,
                    row["event_id"],
                    verdict=row["verdict"],
                    reasons=row["reasons"],
                    score=row["score"],
                    attrs=row["attrs"],
                ),
            )
            for row in block.accepted.to_pylist()
        ]
        rows += [
            (row["raw_offset"], Outcome(False, row["event_id"], row["refusal"]))
            for row in block.refused.to_pylist()
        ]
        for offset, outcome in rows:
            assert offset not in found
            found[offset] = outcome
    return found


@st.composite
def events(draw: st.DrawFn) -> Any:
    """A good event, one of few ids so that duplicates come, or one of the bad kinds."""
    number = draw(st.integers(0, 5))
    viewer = f"viewer-000{number % 3}"
    changes: dict[str, Any] = {
        "event_id": f"event-000000000000{number}",
        "viewer_id": viewer,
        "post_id": f"post-{draw(st.integers(0, 1))}",
        "watch_ms": draw(st.sampled_from([100, 9_000, 9_001])),
        "attrs": draw(st.sampled_from([..., {}, {"a": "b"}])),
        **draw(st.sampled_from([{}, WATCHED, {"user_agent": "Googlebot/2.1", "ip": "1.2.3.4"}])),
    }
    changes |= draw(
        st.sampled_from(
            [
                *[{}] * 6,
                {"campaign_id": "unheard-of"},
                {"campaign_id": "paused"},
                {"occurred_at": NOW - 30 * HOUR},
                {"occurred_at": NOW + HOUR},
                {"watch_ms": -1},
                {"platform": "myspace"},
                {"event_id": "event 000000000001"},
            ]
        )
    )
    value = draw(st.sampled_from([encode(**changes)] * 6 + [None, b"", b"\xff", b"{", b"[]"]))
    key = draw(st.sampled_from([viewer.encode()] * 8 + [None, b"somebody"]))
    return lambda offset: record(value, key=key, offset=offset, timestamp=NOW + 40 * offset)


# Offsets have holes.
logs = st.lists(st.tuples(events(), st.integers(1, 3)), max_size=14)


def placed(log: Sequence[tuple[Any, int]]) -> list[Any]:
    offset, records = 100, []
    for make, step in log:
        records.append(make(offset))
        offset += step
    return records


@given(logs, st.lists(st.integers(0, 14), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_record_is_one_row_and_cuts_make_no_difference(
    log: list[tuple[Any, int]], cuts: list[int]
) -> None:
    records = placed(log)
    whole = in_blocks(records, [])
    parts = in_blocks(records, [min(cut, len(records)) for cut in cuts])
    blocks = [decode_block(made.value) for made in parts]
    found = outcomes(blocks)
    assert set(found) == {one.offset for one in records}
    assert found == outcomes([decode_block(whole[0].value)])
    for made, block in zip(parts, blocks, strict=True):
        assert block.accepted.schema.equals(ACCEPTED)
        assert block.refused.schema.equals(REFUSED)
        for table in block[:2]:
            offsets = table["raw_offset"].to_pylist()
            assert offsets == sorted(offsets)
        rejected = {one.record.offset for one in made.rejected}
        refused = block.refused.to_pylist()
        assert rejected == {
            row["raw_offset"] for row in refused if row["refusal"] != Refusal.DUPLICATE
        }
    ids = [outcome.event_id for outcome in found.values() if outcome.accepted]
    assert len(ids) == len(set(ids)), "an event was counted twice"
    for outcome in found.values():
        if outcome.refusal == Refusal.DUPLICATE:
            assert outcome.event_id in ids, "the first one was not accepted"


def good(number: int, offset: int | None = None, **changes: Any) -> Any:
    wanted = {"event_id": f"event-{number:012}", **WATCHED} | changes
    at = number if offset is None else offset
    return record(encode(**wanted), offset=at, key=wanted.get("viewer_id", "viewer-0001").encode())


def test_the_first_of_a_duplicate_counts_also_across_blocks() -> None:
    state = empty_state(27)
    first = one_block([good(1), good(1, offset=2)], state)
    second = one_block([good(1, offset=3), good(2, offset=4)], state)
    assert first.accepted["raw_offset"].to_pylist() == [1]
    assert first.refused["refusal"].to_pylist() == [Refusal.DUPLICATE]
    assert second.accepted["raw_offset"].to_pylist() == [4]
    assert second.refused["raw_offset"].to_pylist() == [3]


def test_a_refused_event_does_not_enter_the_window() -> None:
    state = empty_state(27)
    refused = one_block([good(1, campaign_id="paused")], state)
    assert refused.refused["refusal"].to_pylist() == [Refusal.CAMPAIGN_PAUSED]
    assert len(one_block([good(1, offset=2)], state).accepted) == 1


def test_one_view_per_viewer_post_and_day_is_paid(tmp_path: Path) -> None:
    save_small(tmp_path, "lenient", threshold=0.9999)
    state, lenient = empty_state(27), tools()._replace(judge=Judge("lenient", tmp_path))
    yesterday = good(5, occurred_at=NOW - 23 * HOUR)
    blocks = [[good(1), good(2)], [good(3)], [good(4, post_id="post-2"), yesterday]]
    made = [one_block(block, state, lenient) for block in blocks]
    rows = [row for block in made for row in block.accepted.to_pylist()]
    assert [row["verdict"] == Verdict.VALID for row in rows] == [True, False, False, True, True]
    repeats = [bool(row["reasons"] & Reason.REPEAT_VIEW.bit) for row in rows]
    assert repeats == [False, True, True, False, False]


def test_the_price_and_the_versions_are_written_with_the_verdict() -> None:
    block = one_block([good(1)])
    (row,) = block.accepted.to_pylist()
    campaign = CATALOGUE.campaigns["c-1"]
    assert (row["rate_micros"], row["currency"]) == (campaign.rate_micros, campaign.currency)
    assert block.versions == {**JUDGE.versions, "policy_version": "1", "shadows": "[]"}


def test_the_score_can_be_had_again_from_the_features_of_the_row() -> None:
    block = one_block([good(1), good(2, watch_ms=250), good(3)])
    rows = block.accepted.to_pylist()
    features = np.array([np.frombuffer(row["features"], "<f4") for row in rows])
    assert features.shape == (3, len(NAMES))
    assert features[:, NAMES.index("watch_s")].tolist() == [row["watch_ms"] / 1e3 for row in rows]
    for values, row in zip(features, rows, strict=True):
        champion = load_model("champion")
        found = attribute(champion.estimator, values, champion.card.calibration)
        again = 1 / (1 + np.exp(-found.base - found.contributions.sum()))
        assert again == pytest.approx(row["score"], rel=1e-5)
    assert block.features_digest == features_digest()
    assert [row["shadow_scores"] for row in rows] == [None] * 3


def test_shadows_score_the_same_rows_and_change_no_verdict(tmp_path: Path) -> None:
    one, two = save_small(tmp_path, "one", 1, 0.4), save_small(tmp_path, "two", 2)
    watching = tools()._replace(judge=Judge("champion", tmp_path))
    chosen = Chosen((), (one, two), 1)
    asyncio.run(watching.judge.follow(chosen))
    records = [good(number, watch_ms=1_000 * number) for number in range(1, 9)]
    plain, block = one_block(records), one_block(records, shared=watching)
    assert block.shadows == [Shadow("one-1", 0.4), Shadow("two-2", 0.5)]
    features, scores = (
        np.array([np.frombuffer(row, "<f4") for row in block.accepted[name].to_pylist()])
        for name in ("features", "shadow_scores")
    )
    for i, pin in enumerate((one, two)):
        expected = load_model(pin.name, tmp_path).predict(features.astype(np.float64))
        assert scores[:, i].tolist() == expected.tolist()
    same = [name for name in ACCEPTED.names if name != "shadow_scores"]
    assert block.accepted.select(same).equals(plain.accepted.select(same))


def test_models_are_switched_between_blocks(tmp_path: Path) -> None:
    pin = save_small(tmp_path, "other")
    catalogue = msgspec.structs.replace(CATALOGUE, models=Chosen((pin,), (), 1))
    switching = tools()._replace(judge=Judge("champion", tmp_path))
    before = one_block([good(1)], shared=switching)
    switching = switching._replace(catalogue=FixedCatalogue(catalogue))  # type: ignore[arg-type]
    after = one_block([good(2)], shared=switching)
    assert before.versions["model_version"] == JUDGE.versions["model_version"]
    assert after.versions["model_version"] == "other-1"


def test_without_redis_shadows_say_nothing(tmp_path: Path) -> None:
    class Gone:
        async def exchange(self, _asked: Any) -> None:
            return None

    watching = tools(Gone())._replace(judge=Judge("champion", tmp_path))
    asyncio.run(watching.judge.follow(Chosen((), (save_small(tmp_path, "one"),), 1)))
    block = one_block([good(1)], shared=watching)
    (row,) = block.accepted.to_pylist()
    assert (row["shadow_scores"], row["score"]) == (None, None)
    assert [one.version for one in block.shadows] == ["one-1"]


def test_a_view_costs_what_was_valid_when_it_was_viewed() -> None:
    rates = {"c-1": Rates((-(2**63) + 1, NOW), (2_500, 3_000))}
    changed = tools()._replace(
        catalogue=FixedCatalogue(msgspec.structs.replace(CATALOGUE, rates=rates))
    )
    behind = {"occurred_at": NOW - 9, "sent_at": NOW - 9}  # the clock: it was viewed at NOW
    records = [good(1), good(2, occurred_at=NOW - 1), good(3, **behind), good(4, received_at=NOW)]
    rows = one_block(records, shared=changed).accepted
    assert rows["viewed_at"].to_pylist() == [NOW, NOW - 1, NOW, NOW]
    assert rows["rate_micros"].to_pylist() == [3_000, 2_500, 3_000, 3_000]


def test_without_what_is_shared_views_are_held_and_not_judged() -> None:
    class Down:
        async def exchange(self, _asked: Any) -> None:
            return None

    (row,) = one_block([good(1)], shared=tools(Down())).accepted.to_pylist()
    assert (row["verdict"], row["score"]) == (Verdict.HELD, None)
    assert row["reasons"] == Reason.VELOCITY_UNAVAILABLE.bit


def test_a_block_of_bad_events_alone_asks_nobody() -> None:
    class Untouchable:
        async def exchange(self, asked: Any) -> Any:
            assert not any(len(one.summaries) for one in asked)
            return await LocalShared().exchange(asked)

    block = one_block([record(b"{", offset=7)], shared=tools(Untouchable()))
    assert (len(block.accepted), block.refused["raw_offset"].to_pylist()) == (0, [7])
    assert isinstance(block.accepted, pa.Table)
