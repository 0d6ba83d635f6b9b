"""The comparison is only fair if the vanilla agent comes to the same results."""

import asyncio
from typing import NamedTuple

import msgspec
import numpy as np
from support.shared import LocalShared

from bench.vanilla_memory import Memory
from bench.vanilla_steps import Known, Prepared, finish, prepare
from models.judge import Judge
from models.lists import load_lists
from models.registry import load_model
from pipeline.score.admit import Clock
from pipeline.score.state import empty_state
from pipeline.score.steps import Tools, score
from pipeline.simulate.simulate import make_traffic
from pipeline.simulate.traffic import START_MS
from pipeline.simulate.writer import chunks
from schemas.block import decode_block
from schemas.catalogue import Catalogue, Rates
from schemas.verdicts import Reason, Verdict

EVENTS = 6_000
BLOCK = 1_500
EARLY_AND_LATE = (7, 11)
"""Rates before and after noon of every other campaign."""


Result = tuple[int, int, int]
"""Verdict, reasons, rate."""


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[()] = ()


class Catalogued:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def current(self, _campaigns: object, _promoters: object, _since: float) -> Catalogue:
        return self._catalogue


def day() -> tuple[Catalogue, list[Record]]:
    traffic = make_traffic(EVENTS, seed=3)
    catalogue = Catalogue(
        version=1,
        campaigns={one.campaign_id: one for one in traffic.catalogue.campaigns},
        promoters={one.promoter_id: one for one in traffic.catalogue.promoters},
        rates={
            one.campaign_id: Rates((-(2**63) + 1, START_MS + 12 * 3_600_000), EARLY_AND_LATE)
            for one in traffic.catalogue.campaigns[::2]
        },
    )
    values = [
        value
        for chunk in chunks(traffic.views, traffic.delivered, traffic.catalogue.posts)
        for value in chunk.events.split(b"\n")[: chunk.lines]
    ]
    log_time = (START_MS + traffic.delivered.received_at).tolist()
    pairs = enumerate(zip(log_time, values, strict=True))
    return catalogue, [Record(i, at, key_of(value), value) for i, (at, value) in pairs]


def key_of(value: bytes) -> bytes | None:
    try:
        return msgspec.json.decode(value)["viewer_id"].encode()
    except Exception:
        return None


def in_blocks(catalogue: Catalogue, records: list[Record]) -> dict[int, Result]:
    state = empty_state(27)
    clock = Clock(24 * 3_600_000, 5 * 60_000)
    tools = Tools(Catalogued(catalogue), Judge("champion"), LocalShared(), clock, asyncio.Lock())
    found: dict[int, Result] = {}
    columns = ["raw_offset", "verdict", "reasons", "rate_micros"]
    for start in range(0, len(records), BLOCK):
        made = asyncio.run(score(records[start : start + BLOCK], 0, state, tools))
        accepted = decode_block(made.value).accepted
        for row in accepted.select(columns).to_pylist():
            found[row["raw_offset"]] = row["verdict"], row["reasons"], row["rate_micros"]
    return found


def one_by_one(known: Known, records: list[Record]) -> dict[int, Prepared]:
    return {
        record.offset: found
        for record in records
        if isinstance(found := prepare(known, record.key, record.value, record.timestamp), Prepared)
    }


def test_vanilla_does_the_same_work() -> None:
    catalogue, records = day()
    model = load_model("champion")
    known = Known(catalogue, load_lists(), model.threshold, set(), set(), Memory())
    prepared = one_by_one(known, records)
    scores = model.predict(np.array([one.features for one in prepared.values()]))
    made = [finish(known, one, s) for one, s in zip(prepared.values(), scores, strict=True)]
    vanilla = {
        offset: (one["verdict"], one["reasons"], one["rate_micros"])
        for offset, one in zip(prepared, made, strict=True)
    }
    assert vanilla == in_blocks(catalogue, records)
    assert {*EARLY_AND_LATE} < {rate for *_, rate in vanilla.values()}
    assert {verdict for verdict, *_ in vanilla.values()} == {
        Verdict.VALID,
        Verdict.UNQUALIFIED,
        Verdict.INVALID,
    }
    bits = np.bitwise_or.reduce([reasons for _, reasons, _ in vanilla.values()])
    assert bits & Reason.MODEL_SCORE.bit
