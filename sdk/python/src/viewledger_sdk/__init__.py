"""Sends view events to a viewledger collector, each at least once."""

from viewledger_sdk.async_client import AsyncClient
from viewledger_sdk.client import Client
from viewledger_sdk.errors import (
    ClientClosed,
    ConfigError,
    InvalidEvent,
    QueueFull,
    QueueLocked,
    ViewledgerError,
)
from viewledger_sdk.outbox import Counts, Problem
from viewledger_sdk.view import View

__all__ = [
    "AsyncClient",
    "Client",
    "ClientClosed",
    "ConfigError",
    "Counts",
    "InvalidEvent",
    "Problem",
    "QueueFull",
    "QueueLocked",
    "View",
    "ViewledgerError",
]
