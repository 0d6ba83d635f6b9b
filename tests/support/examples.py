"""Labelled views with features, to train and to test on."""

import numpy as np

from models.features import NAMES
from models.training import Examples

TELLING = NAMES.index("watch_s")
"""The feature that says who is a bot."""


def examples(n: int, seed: int = 1, bots: float = 0.5) -> Examples:
    """People and bots of promoters' farms, who watch longer; each viewer once, of 40 promoters."""
    rng = np.random.default_rng(seed)
    bot = rng.random(n) < bots
    features = rng.normal(size=(n, len(NAMES)))
    features[:, TELLING] += 4 * bot
    return Examples(
        kind=np.where(bot, "promoter_farm", "human"),
        platform=np.where(rng.random(n) < 0.5, "tiktok", "web"),
        viewer=np.arange(n, dtype=np.uint64),
        promoter=rng.integers(0, 40, n).astype(np.uint64),
        once=np.arange(n, dtype=np.uint64),
        rate_micros=np.full(n, 1_000),
        log_time=np.arange(n, dtype=np.int64),
        features=features,
        givt=np.zeros(n, np.uint32),
        policy=np.zeros(n, np.uint32),
    )
