"""URLs of databases that a test has for itself."""

from urllib.parse import urlsplit, urlunsplit


def with_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
