"""A Redis URL: of one server, of a master that sentinels know, or of a Cluster."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

_FORM = re.compile(
    r"redis(?P<tls>s?)(?:\+(?P<kind>sentinel|cluster))?://"
    r"(?:(?P<login>[^/?#]*)@)?(?P<servers>[^/?#@]*)(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
_PATHS = {
    "single": (r"()([0-9]{0,9})/?", "redis://host:port/0, the number of a database"),
    "sentinel": (
        r"(?![0-9]+/?$)([^/]+)(?:/([0-9]{0,9}))?/?",
        "redis+sentinel://host:port/name/0, the name of the master and the number of a database",
    ),
    "cluster": (r"()(0?)/?", "redis+cluster://host:port: a Cluster has only the database 0"),
}
_ESCAPE = "in a user or password write / ? # @ : % as %2F %3F %23 %40 %3A %25"
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CHOICES: dict[str, dict[str, Any]] = {
    "ssl_cert_reqs": {name: name for name in ("required", "optional", "none")},
    "ssl_check_hostname": {"true": True, "false": False},
}
_TLS = (*_FILES, *_CHOICES)
_SENTINEL = ("sentinel_username", "sentinel_password")


class RedisUrl(NamedTuple):
    """`redis[s][+sentinel|+cluster]://user:password@host:port,host:port/…?option=value`."""

    kind: Literal["single", "sentinel", "cluster"]
    servers: tuple[tuple[str, int], ...]
    """Host and port: of Redis, of the sentinels, or of nodes of the Cluster."""
    master: str
    """By which the sentinels know it; else empty."""
    options: dict[str, Any]
    """Keyword arguments of a redis-py client."""
    sentinel_options: dict[str, Any]
    """The same for a client of a sentinel; else empty."""

    @classmethod
    def parse(cls, url: str) -> "RedisUrl":
        """Reads a URL.

        Raises:
            ValueError: what is wrong with it; holds neither user nor password.
        """
        form = _FORM.fullmatch(url)
        if form is None:
            raise ValueError(
                "VIEWLEDGER_REDIS is none of redis://host:port/0, "
                "redis+sentinel://host:port,host:port/name/0, redis+cluster://host:port,host:port "
                f"(with TLS: rediss…); {_ESCAPE}"
            )
        kind: Any = form["kind"] or "single"
        servers = _servers(form["servers"], kind)
        master, database = _path(form["path"] or "", kind)
        login = _login(form["login"] or "")
        tls, sentinel_login = _query(form["query"] or "", kind, bool(form["tls"]))
        options = {**login, **tls} if kind == "cluster" else {**login, **tls, "db": database}
        if kind != "sentinel":
            return cls(kind, servers, master, options, {})
        if login or sentinel_login:
            # The user `default` of a sentinel that asks for no password takes any.
            login.pop("username", None)
            sentinel_login = {"username": "default"} | login | sentinel_login
        return cls(kind, servers, master, options, {**sentinel_login, **tls})


def _servers(text: str, kind: str) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for number, server in enumerate(text.split(","), 1):
        try:
            parts = urlsplit(f"//{server}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0:
            # Not repeated: it may be a part of a password.
            raise ValueError(f"server {number} in VIEWLEDGER_REDIS is not host:port; {_ESCAPE}")
        found.append((host, port or (26379 if kind == "sentinel" else 6379)))
    if kind == "single" and len(found) > 1:
        raise ValueError(
            f"{len(found)} servers in VIEWLEDGER_REDIS; redis:// takes one, "
            "redis+sentinel:// and redis+cluster:// more"
        )
    return tuple(found)


def _path(text: str, kind: str) -> tuple[str, int]:
    pattern, example = _PATHS[kind]
    found = re.fullmatch(pattern, text)
    if found is None:
        raise ValueError(f"what follows the servers in VIEWLEDGER_REDIS is not as in {example}")
    return unquote(found[1]), int(found[2] or 0)


def _login(text: str) -> dict[str, str]:
    user, _, password = (unquote(part) for part in text.partition(":"))
    if user and not password:
        raise ValueError(
            "a user without a password in VIEWLEDGER_REDIS; a password alone is :password@"
        )
    return {name: each for name, each in [("username", user), ("password", password)] if each}


def _query(text: str, kind: str, tls: bool) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        given = dict(parse_qsl(text, strict_parsing=bool(text)))
    except ValueError:
        # What it says repeats the text, which may be a part of a password.
        raise ValueError(
            "an option without a value in VIEWLEDGER_REDIS; write & in a value as %26"
        ) from None
    options: dict[str, Any] = {"ssl": True} if tls else {}
    login: dict[str, str] = {}
    for name, value in given.items():
        if name in _TLS and not tls:
            raise ValueError(f"option {name!r} in VIEWLEDGER_REDIS needs TLS: rediss, not redis")
        if name in _SENTINEL and kind != "sentinel":
            raise ValueError(f"option {name!r} in VIEWLEDGER_REDIS needs redis+sentinel://")
        if name in _SENTINEL:
            login[name.removeprefix("sentinel_")] = value
        elif name in _FILES:
            if not Path(value).is_file():
                raise ValueError(f"option {name!r} in VIEWLEDGER_REDIS: no file {value!r}")
            options[name] = value
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                choices = ", ".join(_CHOICES[name])
                raise ValueError(f"option {name!r} in VIEWLEDGER_REDIS is one of {choices}")
            options[name] = _CHOICES[name][value]
        else:
            known = ", ".join((*_TLS, *_SENTINEL))
            raise ValueError(f"unknown option {name!r} in VIEWLEDGER_REDIS; known: {known}")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("option 'ssl_keyfile' in VIEWLEDGER_REDIS needs 'ssl_certfile'")
    return options, login
