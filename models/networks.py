"""What an address belongs to: a data centre, a VPN, the Tor network or none of them.

Data centres are those of ipcat (MIT, `vendor/ipcat/`) and of a file of the operator's. Lists of
VPNs and of Tor's exits change within hours, so they are files of the operator's, too. All are
read again when they change.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.address import address_of
from models.list_files import IPCAT, ListFile, read_ipcat, read_ranges
from models.ranges import NOWHERE, Range, Ranges
from schemas.settings import Settings
from schemas.view import Network

DATACENTER, VPN, TOR = 1, 2, 3
CODES: Mapping[Network, int] = {
    "datacenter": DATACENTER,
    "vpn": VPN,
    "tor": TOR,
    "other": 4,
    "allowed": 5,
    "denied": 6,
}
_NAMES: dict[int, Network] = {code: name for name, code in CODES.items()}

_LAYERS = (("ipcat", DATACENTER), ("datacenter", DATACENTER), ("vpn", VPN), ("tor", TOR))
"""Exits of Tor and of VPNs stand in data centres: the narrower word goes last, over the others."""


class Networks:
    """The lists, and the files that they come from."""

    def __init__(self, files: Mapping[str, Path], *, ipcat: bool = True) -> None:
        """A list that cannot be read is logged as an error, and read as soon as it can be.

        Args:
            files: of the operator's, by `datacenter`, `vpn` and `tor`.
            ipcat: whether the ranges of ipcat are data centres.
        """
        self._files: dict[str, ListFile[list[Range]]] = {
            name: ListFile(name, path, read_ranges) for name, path in files.items()
        }
        if ipcat:
            self._files["ipcat"] = ListFile("ipcat", IPCAT, read_ipcat)
        self.ranges = NOWHERE
        """Codes of `CODES` by address; replaced, never changed."""
        self.reload()

    @classmethod
    def of_settings(cls, settings: Settings) -> "Networks":
        """Those of the settings."""
        named = {
            "datacenter": settings.datacenter_list,
            "vpn": settings.vpn_list,
            "tor": settings.tor_list,
        }
        files = {name: path for name, path in named.items() if path is not None}
        return cls(files, ipcat=settings.ipcat)

    @property
    def versions(self) -> dict[str, str]:
        """Of the lists that are in use."""
        found = ((name, self._files[name].version) for name, _ in _LAYERS if name in self._files)
        return {name: version for name, version in found if version is not None}

    @property
    def complete(self) -> bool:
        """Whether every list could be read."""
        return all(file.content is not None for file in self._files.values())

    def class_of(self, address: str) -> Network | None:
        """What an address belongs to; None where it is no address or a list is missing."""
        number = address_of(address)
        if number == 0:
            return None
        code = int(self.ranges.codes_of(np.array([number], np.uint64))[0])
        if code:
            return _NAMES[code]
        return "other" if self.complete else None

    def reload(self) -> bool:
        """Reads the files that have changed; whether there is something new in them.

        One that cannot be read is logged, and what was in it before stays in use.
        """
        changed = [file.reload() for file in self._files.values()]
        if any(changed):
            self.ranges = Ranges.of(
                (*one, code)
                for name, code in _LAYERS
                if name in self._files
                for one in self._files[name].content or ()
            )
        return any(changed)
