"""The features that the stream would have had of the events of files."""

from collections.abc import Iterable

from models.batch import Batch
from models.engine.view import columns_of_batch
from models.features import Matrix, new_engine


def stream_features(batches: Iterable[Batch]) -> list[Matrix]:
    """Features of batches in log order, float64[n, F] each; memory is cold at the first one."""
    engine = new_engine()
    return [engine.observe(columns_of_batch(batch)) for batch in batches]
