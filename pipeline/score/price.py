"""What a valid view costs: the rate of its campaign that was valid when it was viewed."""

import numpy as np
import pyarrow as pa

from pipeline.score.admit import Millis
from schemas.catalogue import Catalogue


def rates_of(
    campaigns: pa.DictionaryArray, viewed_at: Millis, catalogue: Catalogue
) -> pa.Int64Array:
    """The rate of each of n views, in micros.

    Args:
        campaigns: campaign ids of the views, all of them known.
        viewed_at: int64 ms, shape (n,).
    """
    names = campaigns.dictionary.to_pylist()
    current = [catalogue.campaigns[name].rate_micros for name in names]
    rates = pa.array(current, pa.int64()).take(campaigns.indices)
    changed = [number for number, name in enumerate(names) if name in catalogue.rates]
    if not changed:
        return rates
    prices, of_row = rates.to_numpy().copy(), campaigns.indices.to_numpy()
    for number in changed:
        history = catalogue.rates[names[number]]
        rows = np.flatnonzero(of_row == number)
        place = np.searchsorted(history.valid_from_ms, viewed_at[rows], side="right") - 1
        prices[rows] = np.array(history.rate_micros, np.int64)[place]
    return pa.array(prices)
