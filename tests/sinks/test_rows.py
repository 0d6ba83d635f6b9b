import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blocks import block

from schemas.block import Block
from sinks.rows import view_rows

floats = st.lists(st.floats(width=32, allow_nan=False), max_size=4)


@given(st.lists(st.none() | floats, max_size=6), st.integers(0, 3))
def test_binary_rows_of_floats_become_lists(rows: list[list[float] | None], skip: int) -> None:
    data = [None if row is None else struct.pack(f"<{len(row)}f", *row) for row in rows]
    made = block(0, len(rows) + skip)
    at = made.accepted.schema.get_field_index("features")
    column = pa.array([b"skip" * 3] * skip + data, pa.binary())
    accepted = made.accepted.set_column(at, "features", column).slice(skip)
    found = view_rows(0, 0, Block(accepted, made.refused, made.versions))
    assert found["features"].to_pylist() == [row or [] for row in rows]
    assert found["shadow_scores"].to_pylist() == [
        pytest.approx(struct.unpack("<f", row)) for row in accepted["shadow_scores"].to_pylist()
    ]
