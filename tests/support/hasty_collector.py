"""A collector that is broken on purpose: it says 202 before Kafka has acknowledged."""

import sys
from collections.abc import Sequence

from pipeline.collector import produce
from pipeline.worker import main


async def _send(self: produce.Kafka, messages: Sequence[produce.Message], headers: object) -> None:
    produce.enqueue(self._producer, messages, headers, lambda _error, _message: None)  # type: ignore[arg-type]


if __name__ == "__main__":
    produce.Kafka.send = _send  # type: ignore[assignment, method-assign]
    main(sys.argv[1])
