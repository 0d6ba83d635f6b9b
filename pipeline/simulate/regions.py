"""Where people live: languages, time zones, and the networks of homes and of mobile carriers."""

from ipaddress import IPv4Network
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Region(NamedTuple):
    """A share of the world; all its people keep the same clock."""

    weight: float
    tz: int
    """Minutes from UTC."""
    languages: tuple[str, ...]
    """The first one is the usual one."""
    homes: str
    carrier: str


REGIONS = (
    Region(0.14, 60, ("de-DE", "en-GB", "tr-TR"), "84.128.0.0/10", "80.187.0.0/16"),
    Region(0.10, 0, ("en-GB", "pl-PL"), "86.128.0.0/10", "94.196.0.0/15"),
    Region(0.10, 60, ("fr-FR", "en-GB"), "90.0.0.0/10", "90.112.0.0/12"),
    Region(0.08, 60, ("it-IT", "en-GB"), "79.0.0.0/10", "37.160.0.0/12"),
    Region(0.07, 60, ("es-ES", "ca-ES"), "88.0.0.0/11", "95.120.0.0/13"),
    Region(0.20, -300, ("en-US", "es-US"), "73.0.0.0/8", "174.192.0.0/10"),
    Region(0.09, -480, ("en-US", "es-US", "zh-CN"), "68.32.0.0/11", "107.64.0.0/10"),
    Region(0.08, -180, ("pt-BR",), "177.64.0.0/12", "187.80.0.0/12"),
    Region(0.07, 330, ("hi-IN", "en-IN"), "106.192.0.0/11", "49.32.0.0/11"),
    Region(0.07, 540, ("ja-JP",), "126.0.0.0/9", "110.128.0.0/11"),
)
WEIGHTS = np.array([region.weight for region in REGIONS])
LANGUAGES = tuple(sorted({code for region in REGIONS for code in region.languages}))

DATACENTERS = (
    "3.208.0.0/12", "52.0.0.0/11", "54.144.0.0/12",  # Amazon
    "34.64.0.0/11", "35.192.0.0/12",  # Google
    "13.64.0.0/11", "20.36.0.0/14",  # Microsoft
    "104.131.0.0/16", "138.197.0.0/16", "167.99.0.0/16",  # DigitalOcean
    "5.9.0.0/16", "88.198.0.0/16",  # Hetzner
    "45.33.0.0/17", "139.162.0.0/16",  # Linode
    "51.38.80.0/20",  # OVH
)  # fmt: skip


def addresses(
    rng: np.random.Generator, networks: list[str], which: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """A random address in `networks[i]` for each i of `which`, never .0 or .255."""
    parsed = [IPv4Network(network) for network in networks]
    first = np.array([int(network.network_address) for network in parsed], np.uint32)
    nets = np.array([network.num_addresses // 256 for network in parsed])
    block = (rng.random(len(which)) * nets[which]).astype(np.uint32)
    host = rng.integers(1, 255, len(which), dtype=np.uint32)
    found: npt.NDArray[np.uint32] = first[which] + block * np.uint32(256) + host
    return found


def home_addresses(
    rng: np.random.Generator, region: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """A residential address in each of the given regions."""
    return addresses(rng, [place.homes for place in REGIONS], region)


def datacenter_addresses(rng: np.random.Generator, n: int) -> npt.NDArray[np.uint32]:
    """Addresses of cloud and hosting providers."""
    return addresses(rng, list(DATACENTERS), rng.integers(0, len(DATACENTERS), n))
