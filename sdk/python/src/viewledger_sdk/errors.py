"""What can be wrong, said to the developer who called."""


class ViewledgerError(Exception):
    """Every error of this package."""


class ConfigError(ViewledgerError, ValueError):
    """An argument of the client is wrong."""


class InvalidEvent(ViewledgerError, ValueError):  # noqa: N818
    """An event that no collector would accept; it was not queued.

    Attributes:
        reason: a label of docs/protocol.md, such as `missing_field`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class QueueFull(ViewledgerError):  # noqa: N818
    """There is no room for another event: it was not queued, and is the caller's to keep."""


class QueueLocked(ViewledgerError):  # noqa: N818
    """Another client, maybe of another process, uses this queue on disk."""


class ClientClosed(ViewledgerError):  # noqa: N818
    """The client was closed, or was made before a fork."""
