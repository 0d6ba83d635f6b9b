"""A block comes out as it went in, whatever of it is there and whatever is asked of it."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import block as block_module
from schemas.block import ACCEPTED, REFUSED, decode_accepted, decode_block, encode_block

VERSIONS = {"model_version": "m-1", "policy_version": "1", "lists_version": "l ä"}


def _values(field: pa.Field) -> st.SearchStrategy[Any]:
    if pa.types.is_string(field.type):
        found: st.SearchStrategy[Any] = st.text(max_size=4)
    elif pa.types.is_binary(field.type):
        found = st.binary(max_size=8)
    elif pa.types.is_boolean(field.type):
        found = st.booleans()
    elif pa.types.is_floating(field.type):
        found = st.floats(width=32, allow_nan=False)
    else:
        signed = pa.types.is_signed_integer(field.type)
        bits = field.type.bit_width - signed
        found = st.integers(-(2**bits) if signed else 0, 2**bits - 1)
    return st.none() | found if field.nullable else found


def _batches(schema: pa.Schema) -> st.SearchStrategy[pa.RecordBatch]:
    row = st.fixed_dictionaries({field.name: _values(field) for field in schema})
    return st.lists(row, max_size=3).map(
        lambda rows: pa.RecordBatch.from_pylist(rows, schema=schema)
    )


columns = st.lists(st.sampled_from(ACCEPTED.names), unique=True, min_size=1, max_size=6)


@given(_batches(ACCEPTED), _batches(REFUSED), columns)
@settings(deadline=None)
def test_round_trip(accepted: pa.RecordBatch, refused: pa.RecordBatch, wanted: list[str]) -> None:
    value = encode_block(accepted, refused, VERSIONS)
    block = decode_block(value)
    assert block.accepted.to_pylist() == accepted.to_pylist()
    assert block.refused.to_pylist() == refused.to_pylist()
    assert block.accepted.schema.equals(ACCEPTED)
    assert block.refused.schema.equals(REFUSED)
    assert block.versions == VERSIONS
    assert decode_accepted(value).equals(block.accepted)
    some = decode_accepted(value, wanted)
    assert set(some.column_names) == set(wanted)
    assert some.select(wanted).to_pylist() == block.accepted.select(wanted).to_pylist()


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def test_an_empty_block_still_says_by_which_versions_it_was_judged() -> None:
    block = decode_block(encode_block(_empty(ACCEPTED), _empty(REFUSED), VERSIONS))
    assert (len(block.accepted), len(block.refused)) == (0, 0)
    assert block.versions == VERSIONS


def test_a_missing_version_is_an_error() -> None:
    with pytest.raises(KeyError, match="lists_version"):
        encode_block(_empty(ACCEPTED), _empty(REFUSED), {"model_version": "", "policy_version": ""})


def test_a_batch_of_another_shape_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid):
        encode_block(_empty(REFUSED), _empty(REFUSED), VERSIONS)


@pytest.mark.parametrize("value", [b"", b"not arrow", b"\xff" * 8, b"\x01" * 64])
def test_what_is_not_a_block_is_refused(value: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        decode_block(value)
    with pytest.raises(pa.ArrowInvalid):
        decode_accepted(value, ["event_id"])


def test_a_block_that_was_cut_short_is_refused() -> None:
    value = encode_block(_empty(ACCEPTED), _empty(REFUSED), VERSIONS)
    with pytest.raises(pa.ArrowInvalid):
        decode_block(value[: len(value) // 2])


_OLD = pa.schema(list(ACCEPTED)[: ACCEPTED.get_field_index("score") + 1])
"""As blocks were before collectors."""


@given(_batches(_OLD), columns)
def test_a_block_from_before_the_newer_columns_is_read(
    accepted: pa.RecordBatch, wanted: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_module, "ACCEPTED", _OLD)
        value = encode_block(accepted, _empty(REFUSED), VERSIONS)
    block = decode_block(value)
    assert block.accepted.schema.equals(ACCEPTED)
    assert block.accepted.select(_OLD.names).to_pylist() == accepted.to_pylist()
    assert block.accepted["ip_hash"].null_count == len(accepted)
    assert block.versions == VERSIONS
    assert decode_accepted(value).equals(block.accepted)
    some = decode_accepted(value, wanted)
    assert set(some.column_names) == set(wanted)
    assert some.select(wanted).to_pylist() == block.accepted.select(wanted).to_pylist()


def test_newer_columns_come_last_and_may_be_null() -> None:
    newer = list(ACCEPTED)[len(_OLD) :]
    assert {field.name for field in newer} == block_module._NEWER
    assert all(field.nullable for field in newer)
