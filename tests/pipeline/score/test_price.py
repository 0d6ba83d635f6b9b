from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogue import campaign

from pipeline.score.price import rates_of
from schemas.catalogue import Catalogue, Rates

LONG_AGO = -(2**63) + 1
IDS = ["steady", "changed", "often", "other"]


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    rates = {}
    for name in draw(st.sets(st.sampled_from(IDS[1:]))):
        times = sorted(draw(st.sets(st.integers(0, 20), min_size=1, max_size=4)))
        prices = tuple(draw(st.integers(1, 10**12)) for _ in range(len(times) + 1))
        rates[name] = Rates((LONG_AGO, *times), prices)
    return Catalogue(
        version=1, campaigns={name: campaign(name) for name in IDS}, promoters={}, rates=rates
    )


@settings(deadline=None)
@given(catalogues(), st.lists(st.tuples(st.sampled_from(IDS), st.integers(-5, 25)), max_size=40))
def test_every_view_costs_what_was_valid_when_it_was_viewed(
    catalogue: Catalogue, views: list[tuple[str, int]]
) -> None:
    names = pa.array([name for name, _ in views], pa.string()).dictionary_encode()
    found = rates_of(names, np.array([at for _, at in views], np.int64), catalogue)
    assert found.type == pa.int64()
    expected = []
    for name, at in views:
        rate = catalogue.campaigns[name].rate_micros
        for since, changed in zip(*catalogue.rates.get(name, ((), ())), strict=True):
            if since <= at:
                rate = changed
        expected.append(rate)
    assert found.to_pylist() == expected
    assert [catalogue.rate_at(name, at) for name, at in views] == expected


def test_a_rate_is_valid_from_its_very_millisecond() -> None:
    since = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)
    catalogue = Catalogue(
        version=1,
        campaigns={"changed": campaign("changed")},
        promoters={},
        rates={"changed": Rates((LONG_AGO, since), (1, 2))},
    )
    names = pa.array(["changed"] * 3).dictionary_encode()
    viewed_at = np.array([since - 1, since, since + 1])
    assert rates_of(names, viewed_at, catalogue).to_pylist() == [1, 2, 2]
