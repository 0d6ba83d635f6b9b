"""The numbers stand in `views.scored` for ever: what is here never changes, it only grows."""

from functools import reduce
from operator import or_
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.verdicts import Reason, Refusal, Verdict, reason_labels

VERDICTS = {1: "valid", 2: "unqualified", 3: "invalid", 4: "held"}
REASONS = {
    0: "below_min_watch",
    1: "below_min_visible",
    2: "repeat_view",
    8: "declared_bot",
    9: "datacenter_address",
    10: "impossible_values",
    11: "tor_address",
    12: "operator_denied",
    16: "model_score",
    24: "model_unavailable",
    25: "velocity_unavailable",
    26: "lists_unavailable",
}
REFUSALS = {
    1: "duplicate",
    2: "empty_value",
    3: "too_large",
    4: "invalid_utf8",
    5: "not_json",
    6: "not_a_number",
    7: "too_deep",
    8: "not_an_object",
    9: "unknown_schema",
    10: "missing_field",
    11: "wrong_type",
    12: "out_of_range",
    13: "invalid_id",
    14: "unknown_platform",
    15: "missing_key",
    16: "key_mismatch",
    17: "unknown_campaign",
    18: "unknown_promoter",
    19: "campaign_not_started",
    20: "campaign_ended",
    21: "campaign_paused",
    22: "promoter_suspended",
    23: "too_late",
    24: "in_future",
}


@pytest.mark.parametrize(
    ("kind", "golden"), [(Verdict, VERDICTS), (Reason, REASONS), (Refusal, REFUSALS)]
)
def test_numbers_and_names_never_change(
    kind: type[Verdict | Reason | Refusal], golden: dict[int, str]
) -> None:
    found = {member.value: member.name.lower() for member in kind}
    assert {number: found.get(number) for number in golden} == golden
    assert found == golden, "add the new one here, at the end"


def test_they_fit_into_their_columns() -> None:
    assert max(Verdict) < 2**7  # Enum8
    assert max(Refusal) < 2**8
    assert max(Reason) < 32


def test_kinds_of_reasons() -> None:
    kinds = {reason.name.lower(): reason.kind for reason in Reason}
    assert kinds["repeat_view"] == "policy"
    assert kinds["declared_bot"] == kinds["operator_denied"] == "givt"
    assert kinds["model_score"] == "sivt"
    assert kinds["lists_unavailable"] == "unavailable"


@given(st.sets(st.sampled_from(Reason)))
def test_a_mask_is_spelled_out_in_bit_order(reasons: set[Reason]) -> None:
    mask = reduce(or_, (reason.bit for reason in reasons), 0)
    assert reason_labels(mask) == [REASONS[number] for number in sorted(reasons)]


def test_the_table_views_spells_out_every_verdict_and_reason() -> None:
    """ClickHouse has names of its own for the numbers: a new one needs a migration."""
    folder = Path(schemas.__file__).parent / "migrations" / "clickhouse"
    tables = "".join(file.read_text() for file in sorted(folder.glob("*.sql")))
    for verdict in Verdict:
        assert f"'{verdict.name.lower()}' = {verdict.value}" in tables
    for reason in Reason:
        assert f"'{reason.name.lower()}'" in tables
    assert str(list(REASONS)) in tables
