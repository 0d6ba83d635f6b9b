"""The features that the stream judges by: those of the engine that earn their cost.

`models.engine.table` says what each of them is. Left out is what adds nothing beside these on
traffic of other days, or needs another memory per pair of entities; `viewledger models evaluate`
takes all of them. Past-only: a feature of a view depends on views before it in the log, those of
its own block included, and on nothing else. Time is the corrected time of the view (`viewed_at`).
"""

import numpy as np
import numpy.typing as npt

from models.engine.engine import Engine
from models.engine.table import FEATURES as ALL
from models.engine.table import digest

Matrix = npt.NDArray[np.float64]
"""float64[n, len(NAMES)], Fortran order; NaN where unknown."""

_STREAM = """
watch_s watch_ratio visible_pct interactions muted autoplay send_delay_s clock_skew_s local_hour
viewer_views_1m viewer_views_10m viewer_views_24h viewer_gap_s viewer_gap_mean viewer_gap_least_s
viewer_gap_spread viewer_age_s viewer_posts_24h
viewer_watch_change_s viewer_watch_spread viewer_watch_repeats
ip_views_10m ip_views_24h ip_gap_s ip_age_s ip_devices_1h ip_new_share_24h
ip_promoter_views_1h prefix_promoter_part_1h prefix_promoter_new_1h
campaign_share_10m campaign_new_10m promoter_share_10m promoter_new_10m
post_share_10m post_new_10m post_gap_s post_part_of_promoter_10m
device_share_10m device_new_10m
device_promoter_share_10m device_promoter_part_10m device_promoter_lift_10m
sequence_views_6h
"""
FEATURES = tuple(feature for feature in ALL if feature.name in _STREAM.split())
NAMES = tuple(feature.name for feature in FEATURES)

COLUMNS = (
    *("viewer", "campaign", "promoter", "post", "ip", "prefix", "device"),
    *("watch_ms", "watch_s"),
)
"""Those of `models.engine.view.columns_of_batch` that say which memory is needed."""


def features_digest() -> str:
    """Changes when a feature is added, moved or said to mean something else."""
    return digest(FEATURES)


def new_engine() -> Engine:
    """The engine of one stream, without any memory."""
    return Engine(COLUMNS, FEATURES)
