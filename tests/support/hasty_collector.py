"""A collector that is broken on purpose: it says 202 before Kafka has acknowledged."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence

from pipeline.collector import produce
from pipeline.worker import main


def _send(
    self: produce.Kafka, messages: Sequence[produce.Message], headers: produce.Headers
) -> Awaitable[None]:
    produce.enqueue(self._producer, messages, headers, lambda _error, _message: None)
    return asyncio.sleep(0)


if __name__ == "__main__":
    produce.Kafka.send = _send  # type: ignore[method-assign]
    produce.Kafka.check = lambda _self: None  # type: ignore[method-assign]
    main(sys.argv[1])
