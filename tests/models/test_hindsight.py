import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.batch import Batch
from models.hindsight import RULES, flags, measure

NOBODY = 0


def batch(rows: list[tuple[int, int, int, int, int]]) -> Batch:
    """Of viewer, promoter, address, device, watch_ms."""
    viewer, promoter, address, device, watch = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    n = len(rows)
    known = {
        "viewer": viewer.astype(np.uint64),
        "promoter": promoter.astype(np.uint64),
        "address": address.astype(np.uint64),
        "device": device.astype(np.uint64),
        "watch_ms": watch.astype(np.int64),
    }
    none = {
        name: pa.nulls(n) if name in ("networks", "user_agents", "platforms") else np.zeros(n)
        for name in Batch._fields
    }
    return Batch(**(none | known))  # type: ignore[arg-type]


def people(n: int, seed: int = 1) -> list[tuple[int, int, int, int, int]]:
    random = np.random.default_rng(seed)
    return [
        (1000 + i, int(random.integers(1, 40)), 5000 + i, int(random.integers(1, 60)),
         int(random.integers(2_500, 60_000)))
        for i in range(n)
    ]  # fmt: skip


def found(rows: list[tuple[int, int, int, int, int]], rule: str) -> list[int]:
    return np.flatnonzero(flags(batch(rows))[rule]).tolist()


def test_people_have_nothing_against_them() -> None:
    assert not any(flagged.any() for flagged in flags(batch(people(2000))).values())


def test_an_address_for_one_promoter() -> None:
    farm = [(i % 6, 77, 9, 200 + i % 3, 9_000 + 997 * i) for i in range(30)]
    rows = people(1000) + farm
    assert found(rows, "address_of_promoter") == list(range(1000, 1030))
    # A carrier's address that watches everything has nothing to do with a promoter.
    shared = [(i, 1 + i % 39, 9, 300 + i, 9_000 + 997 * i) for i in range(300)]
    assert found(people(1000) + shared, "address_of_promoter") == []
    # A promoter whom everybody watches is watched from every address.
    popular = [(i, 77, i, i, w) for i, _, _, _, w in people(1000, 2)]
    assert found(popular + farm, "address_of_promoter") == []


def test_a_kind_of_device_for_one_promoter() -> None:
    farm = [(2000 + i, 77, 100_000 + i, 200, 9_000 + 997 * i) for i in range(60)]
    assert found(people(3000) + farm, "device_of_promoter") == list(range(3000, 3060))


def test_unknown_addresses_and_devices_are_not_the_same_one() -> None:
    rows = people(1000) + [(2000 + i, 77, NOBODY, NOBODY, 9_000 + 997 * i) for i in range(90)]
    assert not any(flagged.any() for flagged in flags(batch(rows)).values())


@pytest.mark.parametrize("copies", [5, 6, 20])
def test_the_same_two_watch_times_of_many_viewers(copies: int) -> None:
    replayed = [(3000 + i, 1 + i % 39, 9000 + i, 400 + i, w) for i in range(copies)
                for w in (7_003, 21_017)]  # fmt: skip
    rows = people(1000) + replayed
    assert found(rows, "replayed_sequence") == (list(range(1000, len(rows))) if copies >= 6 else [])


@given(st.integers(0, 2**32), st.integers(0, 400))
def test_the_order_of_viewers_makes_no_difference(seed: int, n: int) -> None:
    farm = [(i % 6, 77, 9, 200 + i % 3, 9_000 + 997 * (i // 6)) for i in range(40)]
    rows = people(n) + farm
    order = np.random.default_rng(seed).permutation(len(rows))
    # A viewer's own views keep theirs.
    keep = {v: [i for i, row in enumerate(rows) if row[0] == v] for v in {row[0] for row in rows}}
    taken = {v: iter(places) for v, places in keep.items()}
    mixed = [next(taken[rows[i][0]]) for i in order]
    one, other = measure(batch(rows)), measure(batch([rows[i] for i in mixed]))
    for rule in RULES:
        for before, after in zip(one[rule.name], other[rule.name], strict=True):
            assert (before[mixed] == after).all()
