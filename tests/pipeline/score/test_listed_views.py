"""The operator's lists on their way from the catalogue into the verdicts of a block."""

import asyncio
from typing import Any

import msgspec
from prometheus_client import REGISTRY
from support.catalogue import CATALOGUE, HOUR, FixedCatalogue
from support.events import encode, record
from support.shared import LocalShared

from models.judge import Judge
from pipeline.score.admit import Clock
from pipeline.score.state import empty_state
from pipeline.score.steps import Tools, score
from schemas.block import Block, decode_block
from schemas.operator_lists import ListEntry, OperatorLists
from schemas.verdicts import Verdict, reason_labels

JUDGE = Judge("champion")


def scored(listed: OperatorLists, *changes: dict[str, Any]) -> Block:
    catalogue = msgspec.structs.replace(CATALOGUE, listed=listed)
    tools = Tools(
        FixedCatalogue(catalogue),  # type: ignore[arg-type]
        JUDGE,
        LocalShared(),  # type: ignore[arg-type]
        Clock(late_ms=24 * HOUR, future_ms=300_000),
        asyncio.Lock(),
    )
    records = [
        record(encode(event_id=f"event-{place:016}", **fields), offset=place)
        for place, fields in enumerate(changes)
    ]
    return decode_block(asyncio.run(score(records, 0, empty_state(27), tools)).value)


def outcomes(block: Block) -> list[tuple[str, list[str]]]:
    rows = block.accepted.to_pylist()
    return [(Verdict(row["verdict"]).name, reason_labels(row["reasons"])) for row in rows]


def counted(reason: str, kind: str) -> float:
    labels = {"reason": reason, "kind": kind}
    return REGISTRY.get_sample_value("viewledger_reasons_total", labels) or 0


def test_entries_of_the_catalogue_decide_and_are_counted() -> None:
    ours = {"ip": "3.208.0.9"}
    before = counted("operator_denied", "givt"), counted("datacenter_address", "givt")
    denied = ListEntry("deny", "ip", "3.208.0.0/24")
    allowed = ListEntry("allow", "ip", "3.208.0.9/32")
    block = scored(OperatorLists(5, (denied,)), ours, {"ip": "84.128.1.1"})
    assert block.versions["lists_version"].endswith("+operator-5")
    first, second = outcomes(block)
    assert first[0] == "INVALID"
    assert set(first[1]) >= {"datacenter_address", "operator_denied"}
    assert "operator_denied" not in second[1]
    after = counted("operator_denied", "givt"), counted("datacenter_address", "givt")
    assert after == (before[0] + 1, before[1] + 1)

    block = scored(OperatorLists(6, (denied, allowed)), ours)
    assert block.versions["lists_version"].endswith("+operator-6")
    ((_, reasons),) = outcomes(block)
    assert {"datacenter_address", "operator_denied"}.isdisjoint(reasons)
