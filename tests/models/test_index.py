import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.index import KeyIndex

# Multiples of a power of two: what a careless hash would put into one slot.
_KEYS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**10 - 1).map(lambda n: n << 54))


@given(st.lists(st.lists(_KEYS, max_size=300), max_size=6))
def test_is_a_dict_from_keys_to_rows(blocks: list[list[int]]) -> None:
    index, expected = KeyIndex(), dict[int, int]()
    for block in blocks:
        new = [key for key in dict.fromkeys(block) if key not in expected]
        expected |= {key: len(expected) + i for i, key in enumerate(new)}
        rows = index.add(np.array(new, np.uint64))
        assert rows.tolist() == [expected[key] for key in new]
        asked = [*block, 12345]
        found = index.find(np.array(asked, np.uint64))
        assert found.tolist() == [expected.get(key, -1) for key in asked]
    assert len(index) == len(expected)
    assert index.keys.tolist() == list(expected)


def test_grows_and_stays_small() -> None:
    keys = np.arange(200_000, dtype=np.uint64)
    index = KeyIndex()
    for block in np.split(keys, 50):
        index.add(block)
    assert (index.find(keys) == np.arange(200_000)).all()
    assert index.nbytes / len(keys) < 32
