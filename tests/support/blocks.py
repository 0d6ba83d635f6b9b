"""Blocks of `views.scored` for tests: plausible views, as the scorer would have judged them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.block import ACCEPTED, REFUSED, Block, decode_block, encode_block, packed
from schemas.verdicts import Reason, Refusal, Verdict

START = 1_760_000_000_000
"""2025-10-09 08:53:20 UTC, in ms: log time of offset 0."""
VERSIONS = {
    "model_version": "m1",
    "policy_version": "p1",
    "lists_version": "l1",
    "features_digest": "f1",
    "shadows": '[["s1", 0.5]]',
}


def block_value(
    raw_from: int,
    rows: int,
    *,
    partition: int = 0,
    refused: Sequence[int] = (),
    duplicates: Sequence[int] = (),
    start: int = START,
    gap_ms: int = 10,
    campaigns: int = 5,
    promoters: int = 20,
) -> bytes:
    """The value of a block that covers `[raw_from, raw_from + rows)`.

    `refused` and `duplicates` are offsets within the block; all other events are accepted, one
    in eight `invalid`, one in eight `unqualified`. Campaign 0 pays in JPY, all others in EUR.
    """
    out = sorted({*refused, *duplicates})
    offsets = np.arange(raw_from, raw_from + rows, dtype=np.int64)
    taken = np.delete(offsets, out)
    return encode_block(
        _accepted(partition, taken, start + taken * gap_ms, campaigns, promoters),
        _refused(offsets[out], start + offsets[out] * gap_ms, np.isin(out, list(duplicates))),
        VERSIONS,
    )


def block(raw_from: int, rows: int, **options: object) -> Block:
    """`block_value`, decoded."""
    return decode_block(block_value(raw_from, rows, **options))  # type: ignore[arg-type]


def _accepted(
    partition: int, offsets: np.ndarray, times: np.ndarray, campaigns: int, promoters: int
) -> pa.RecordBatch:
    random = np.random.default_rng([partition, *offsets[:1]])
    rows = len(offsets)
    campaign = random.integers(0, campaigns, rows)
    verdict = random.choice(
        [Verdict.VALID] * 6 + [Verdict.UNQUALIFIED, Verdict.INVALID], rows
    ).astype(np.uint8)
    reasons = np.select(
        [verdict == Verdict.UNQUALIFIED, verdict == Verdict.INVALID],
        [Reason.BELOW_MIN_WATCH.bit, Reason.MODEL_SCORE.bit | Reason.DECLARED_BOT.bit],
        0,
    )
    viewers = [f"viewer-{n}" for n in random.integers(0, 100_000, rows)]
    optional = pa.array(["en-GB" if n % 2 else None for n in offsets], pa.string())
    columns = {
        "raw_offset": offsets,
        "log_time": times,
        "viewed_at": times - random.integers(0, 5_000, rows),
        "event_id": [f"event-{partition}-{n:012d}" for n in offsets],
        "campaign_id": [f"campaign-{n}" for n in campaign],
        "promoter_id": [f"promoter-{n}" for n in random.integers(0, promoters, rows)],
        "post_id": [f"post-{n}" for n in random.integers(0, 500, rows)],
        "platform": np.array(["tiktok", "instagram", "youtube", "web"])[offsets % 4],
        "viewer_id": viewers,
        "session_id": [f"session-{viewer}" for viewer in viewers],
        "occurred_at": times - 1_000,
        "sent_at": times - 500,
        "received_at": times,
        "ip": [f"192.0.2.{n % 256}" for n in offsets],
        "user_agent": ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)"] * rows,
        "watch_ms": random.integers(500, 60_000, rows).astype(np.int32),
        "duration_ms": np.full(rows, 60_000, np.int32),
        "visible_pct": np.full(rows, 99.5, np.float32),
        "interactions": np.ones(rows, np.int32),
        "muted": offsets % 2 == 0,
        "autoplay": offsets % 2 == 1,
        "screen": ["390x844"] * rows,
        "language": optional,
        "tz_offset_min": np.full(rows, -60, np.int16),
        "referrer": pa.nulls(rows, pa.string()),
        "attrs": pa.nulls(rows, pa.string()),
        "ip_hash": [f"{n:016x}" if n % 2 else None for n in offsets],
        "ip_prefix_hash": [f"{n >> 8:016x}" if n % 2 else None for n in offsets],
        "network": ["other" if n % 2 else None for n in offsets],
        "client_hints": pa.nulls(rows, pa.string()),
        "consent": ["granted" if n % 3 else None for n in offsets],
        "collector": ["collector" if n % 2 else None for n in offsets],
        "currency": np.where(campaign == 0, "JPY", "EUR"),
        "rate_micros": 1_000 + campaign,
        "verdict": verdict,
        "reasons": reasons.astype(np.uint32),
        "score": random.random(rows, np.float32),
        "features": packed(np.where(offsets[:, None] % 3 == [0, 1], np.nan, offsets[:, None])),
        "shadow_scores": packed(random.random((rows, 1), np.float32)),
    }
    return pa.record_batch(
        [pa.array(columns[field.name], field.type) for field in ACCEPTED], schema=ACCEPTED
    )


def _refused(offsets: np.ndarray, times: np.ndarray, duplicate: np.ndarray) -> pa.RecordBatch:
    rows = len(offsets)
    columns = {
        "raw_offset": offsets,
        "log_time": times,
        "refusal": np.where(duplicate, Refusal.DUPLICATE, Refusal.NOT_JSON).astype(np.uint8),
        "event_id": [
            f"event-of-{n:012d}" if d else None for n, d in zip(offsets, duplicate, strict=True)
        ],
        "campaign_id": pa.nulls(rows, pa.string()),
        "promoter_id": pa.nulls(rows, pa.string()),
    }
    return pa.record_batch(
        [pa.array(columns[field.name], field.type) for field in REFUSED], schema=REFUSED
    )
