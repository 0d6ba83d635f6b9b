"""Where the collectors of a data folder listen."""

import json
from pathlib import Path

from pipeline.embedded.kept import kept_port
from schemas.settings import NotRunningError, Settings


def keep_ports(settings: Settings) -> list[str]:
    """Gives every collector its port, which it keeps, and returns their URLs.

    None of them may be running.
    """
    numbers = range(settings.collectors)
    if not settings.collector_port:
        for folder in (_folder(settings, number) for number in numbers):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept_port(folder)
    return [_url(settings, port_of(settings, number)) for number in numbers]


def port_of(settings: Settings, number: int) -> int:
    """The port of collector `number` as `keep_ports` decided."""
    if settings.collector_port:
        return settings.collector_port + number
    return int((_folder(settings, number) / "port").read_text())


def collector_url(settings: Settings) -> str:
    """The URL of the first collector that `up` started.

    Raises:
        NotRunningError: it started none.
    """
    try:
        return str(json.loads(settings.endpoints_file.read_text())["collector"])
    except (FileNotFoundError, KeyError):
        raise NotRunningError(
            f"no collector for {str(settings.data)!r}: run `viewledger up`"
        ) from None


def _folder(settings: Settings, number: int) -> Path:
    return settings.data.absolute() / f"collector-{number}"


def _url(settings: Settings, port: int) -> str:
    host = settings.collector_host
    if host.version == 6:
        return f"http://[{'::1' if host.is_unspecified else host}]:{port}"
    return f"http://{'127.0.0.1' if host.is_unspecified else host}:{port}"
