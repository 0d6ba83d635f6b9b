"""The people: where they live, with whom they share an address, and which device is theirs."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import some_regions
from pipeline.simulate.regions import LANGUAGES, REGIONS
from pipeline.simulate.traffic import Floats, Ints, fresh_ids, group_sizes

_PEOPLE_PER_HOUSEHOLD = 2.4
_PEOPLE_PER_CARRIER_ADDRESS = 150
_PEOPLE_PER_OFFICE = 40
_IN_OFFICE = 0.3
"""Of those with a desktop."""
_BEHIND_VPN = 0.004


class People(NamedTuple):
    """Arrays of one row per person, or rather per device."""

    viewer: npt.NDArray[np.uint64]
    region: Ints
    home_ip: npt.NDArray[np.uint32]
    mobile_ip: npt.NDArray[np.uint32]
    """Carriers put many customers behind one address."""
    on_mobile: Floats
    """Share of sessions away from home."""
    device: Ints
    language: Ints
    skew_ms: Ints
    activity: Floats
    """Relative number of sessions."""


def make_people(rng: np.random.Generator, n: int) -> People:
    """`n` people in households."""
    sizes = group_sizes(rng, n, _PEOPLE_PER_HOUSEHOLD)
    household_region = some_regions(rng, len(sizes))
    household_ip = regions.home_addresses(rng, household_region)
    region = np.repeat(household_region, sizes)
    home_ip = np.repeat(household_ip, sizes)
    desktop = rng.random(n) < 0.22
    device = np.where(
        desktop, devices.pick(rng, n, "desktop"), devices.pick(rng, n, "iphone", "android")
    )
    in_office = desktop & (rng.random(n) < _IN_OFFICE)
    offices = _shared_addresses(rng, region, [place.homes for place in REGIONS], _PEOPLE_PER_OFFICE)
    home_ip[in_office] = offices[in_office]
    behind_vpn = rng.random(n) < _BEHIND_VPN
    home_ip[behind_vpn] = regions.datacenter_addresses(rng, int(behind_vpn.sum()))
    return People(
        viewer=fresh_ids(rng, n),
        region=region,
        home_ip=home_ip,
        mobile_ip=_shared_addresses(
            rng, region, [place.carrier for place in REGIONS], _PEOPLE_PER_CARRIER_ADDRESS
        ),
        on_mobile=np.where(desktop | behind_vpn, 0.0, rng.beta(1.2, 1.5, n)),
        device=device,
        language=pick_languages(rng, region),
        skew_ms=clock_skew(rng, n),
        activity=rng.lognormal(0.0, 1.0, n),
    )


def _shared_addresses(
    rng: np.random.Generator, region: Ints, networks: list[str], people: int
) -> npt.NDArray[np.uint32]:
    found = np.empty(len(region), np.uint32)
    for place in np.unique(region):
        of_place = np.flatnonzero(region == place)
        n = max(1, len(of_place) // people)
        pool = regions.addresses(rng, [networks[place]], np.zeros(n, np.int64))
        # Some addresses carry far more people than others.
        found[of_place] = pool[(rng.random(len(of_place)) ** 1.6 * n).astype(np.int64)]
    return found


def pick_languages(rng: np.random.Generator, region: Ints) -> Ints:
    """Rows of LANGUAGES: mostly the usual one of the region."""
    table = np.array(
        [
            [LANGUAGES.index(place.languages[i % len(place.languages)]) for i in range(3)]
            for place in REGIONS
        ]
    )
    chosen: Ints = table[region, rng.choice(3, len(region), p=[0.88, 0.08, 0.04])]
    return chosen


def clock_skew(rng: np.random.Generator, n: int) -> Ints:
    """How far ahead each device's clock is, ms: mostly seconds, rarely hours or years."""
    kind = rng.choice(4, n, p=[0.8, 0.15, 0.045, 0.005])
    spread = np.array([800.0, 60_000.0, 5_400_000.0, 63_072_000_000.0])[kind]
    skew: Ints = (rng.standard_normal(n) * spread).astype(np.int64)
    return skew
