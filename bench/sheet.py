"""A table of results."""

from typing import NamedTuple


class Sheet(NamedTuple):
    """A table; the first column is text, the others are figures."""

    title: str
    head: list[str]
    rows: list[list[str]]


def figure(value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
