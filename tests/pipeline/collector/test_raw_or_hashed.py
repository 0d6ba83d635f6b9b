"""Score judges the same traffic alike, whether it has addresses or hashes of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from models.judge import Judged, weigh
from models.registry import load_model
from models.training import Examples
from pipeline import training_data
from pipeline.collector.privacy import Privacy
from pipeline.collector.salts import Salts
from pipeline.score.decode import decode
from pipeline.score.refuse import Refused
from pipeline.training_data import simulated
from schemas.settings import Settings
from schemas.verdicts import Reason
from schemas.view import View

LINES = 6_000
NOON = 43_200_000
Hide = Callable[[View], None]


def hashing(tmp_path: Path, salt: bytes) -> Hide:
    """What a collector does to an event, all of them received on one day."""
    privacy = Privacy(Settings(data=tmp_path))
    assert isinstance(privacy._salts, Salts)
    privacy._salts._by_day = {0: salt}
    privacy._today = privacy._begin(0)

    def hide(event: View) -> None:
        origin = privacy.origin_of(event.ip, NOON)
        assert origin.ip is None
        event.ip, event.ip_hash = origin.ip, origin.ip_hash
        event.ip_prefix_hash, event.network = origin.ip_prefix_hash, origin.network

    return hide


def judged(seed: int, hide: Hide, monkeypatch: pytest.MonkeyPatch) -> tuple[Examples, Judged]:
    def decode_hidden(records: Sequence[Any]) -> tuple[list[View], list[Any], list[Refused]]:
        views, kept, refused = decode(records)
        for event in views:
            hide(event)
        return views, kept, refused

    monkeypatch.setattr(training_data, "decode", decode_hidden)
    found, model = simulated(LINES, seed), load_model("champion")
    score = model.predict(found.features)
    return found, weigh(found.policy, found.givt, score, model.threshold, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_verdicts_features_and_scores_are_the_same(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, of_raw = judged(seed, lambda event: None, monkeypatch)
    hashed, of_hashed = judged(seed, hashing(tmp_path, b"s" * 32), monkeypatch)
    assert_array_equal(hashed.features, raw.features)
    assert_array_equal(hashed.givt, raw.givt)
    assert_array_equal(of_hashed.verdict, of_raw.verdict)
    assert_array_equal(of_hashed.reasons, of_raw.reasons)
    assert_array_equal(of_hashed.score, of_raw.score)
    assert (raw.givt & Reason.DATACENTER_ADDRESS.bit).any()
