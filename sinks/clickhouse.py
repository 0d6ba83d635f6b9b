"""Connections to ClickHouse over HTTP, embedded or real alike."""

from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

__all__ = ["Client", "connect"]


def connect(url: str, **options: Any) -> Client:
    """A client for `http(s)://user:password@host:port/database?ca_cert=…&verify=…`.

    `options` are those of `clickhouse_connect.get_client`; so are the URL's. Queries are not
    tied to one server session, so one client may serve several threads.

    Raises:
        clickhouse_connect.driver.exceptions.Error: no answer, or no access.
    """
    return clickhouse_connect.get_client(
        dsn=url, interface=urlsplit(url).scheme, autogenerate_session_id=False, **options
    )
