"""The features that the stream would have had of the events of files."""

import asyncio
from collections.abc import Iterable

from models.batch import Batch
from models.counters import LocalCounters
from models.features import Matrix, assemble, prepare
from models.viewers import Viewers


def stream_features(batches: Iterable[Batch]) -> list[Matrix]:
    """Features of batches in log order, float64[n, F] each; memory is cold at the first one."""
    viewers, counters = Viewers(), LocalCounters()
    found = []
    for batch in batches:
        prepared = prepare(batch, viewers)
        counts = asyncio.run(counters.add(prepared.keys, prepared.increments))
        found.append(assemble(prepared, counts))
    return found
