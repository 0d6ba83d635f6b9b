import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.columns import KEYS, Columns, columns, rows

from models.engine.engine import ask
from models.engine.families import families_of
from models.engine.state import forgotten, merge, state_type
from models.engine.table import FEATURES

FAMILIES = [family for family in families_of(FEATURES) if set(family.of) <= set(KEYS)]


@settings(max_examples=40, deadline=None)
@given(columns(), st.integers(0, 60), st.sampled_from(FAMILIES))
def test_summaries_merge_to_what_one_summary_of_all_rows_says(traffic, at, family) -> None:
    """What a store does with two blocks is what it would do with one."""
    traffic = traffic | {"new": np.arange(len(traffic["time"])) % 3 == 0}
    found = [
        merged(family, {}, [traffic]),
        merged(family, {}, [rows(traffic, slice(at)), rows(traffic, slice(at, None))]),
    ]
    assert found[0] == found[1]


def merged(family, known: dict, blocks: list[Columns]) -> dict:
    for block in blocks:
        asked = ask(family, block)
        keys = asked.group.keys.tolist()
        old = np.zeros(len(keys), state_type(family))
        for i, key in enumerate(keys):
            if key in known:
                old[i] = known[key]
        old = forgotten(family, old, asked.summaries["begin"])
        new = merge(family, old, asked.summaries)
        known = known | {key: new[i : i + 1].tobytes() for i, key in enumerate(keys)}
        known = {
            key: np.frombuffer(state, state_type(family))[0] if isinstance(state, bytes) else state
            for key, state in known.items()
        }
    return {key: state.tobytes() for key, state in known.items()}
