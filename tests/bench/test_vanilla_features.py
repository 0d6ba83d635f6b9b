"""The features of one view at a time against those of the engine."""

import msgspec
import numpy as np
from hypothesis import given, settings
from support.columns import Columns, columns
from support.events import event

from bench.vanilla_features import features_of
from bench.vanilla_memory import Memory
from bench.vanilla_steps import places_of
from models.batch import batch_of_views
from models.engine.view import columns_of_batch
from models.features import NAMES, new_engine
from schemas.view import View


def view_of(row: dict[str, int]) -> View:
    ip, prefix, device = row["ip"], row["prefix"], row["device"]
    hashed = ip % 2 == 1
    made = event(
        viewer_id=f"viewer-{row['viewer']:04}",
        campaign_id=f"campaign {row['campaign']}",
        promoter_id=f"promoter {row['promoter']}",
        post_id=f"post {row['post']}",
        occurred_at=row["time"],
        sent_at=row["time"] + 1_500,
        watch_ms=row["watch_ms"],
        duration_ms=15_000 * row["post"],
        ip=f"198.51.{prefix}.{ip}" if ip and not hashed else None,
        ip_hash=f"{ip:016x}" if hashed else None,
        ip_prefix_hash=f"{prefix:016x}" if hashed and prefix else None,
        user_agent=f"agent {device}" if device else None,
        screen="390x844" if device == 1 else None,
        tz_offset_min=-60 * device if device > 1 else None,
        muted=device == 1 or None,
    )
    return msgspec.convert(made, View)


@settings(max_examples=100, deadline=None)
@given(columns())
def test_vanilla_has_the_features_of_the_engine(traffic: Columns) -> None:
    # A broker's clock may step back.
    traffic["seen"] -= np.arange(len(traffic["seen"])) % 3 * 3_600_000
    names = [name for name in traffic if name != "watch_s"]
    rows = [
        dict(zip(names, map(int, values), strict=True))
        for values in zip(*(traffic[name] for name in names), strict=True)
    ]
    views = [view_of(row) for row in rows]
    memory = Memory()
    found = [
        features_of(
            memory,
            view,
            row["time"],
            row["seen"] + 7,
            row["seen"],
            places_of(view.ip, view.ip_hash, view.ip_prefix_hash),
        )
        for view, row in zip(views, rows, strict=True)
    ]
    batch = batch_of_views(views, traffic["seen"], traffic["time"], traffic["seen"] + 7)
    expected = new_engine().observe(columns_of_batch(batch))
    made = np.array(found, np.float64).reshape(len(views), len(NAMES))
    for i, name in enumerate(NAMES):
        # Squares of logs lose half of the digits of a spread near zero.
        np.testing.assert_allclose(made[:, i], expected[:, i], rtol=1e-6, atol=1e-6, err_msg=name)
