from pathlib import Path

import pytest
from support.registry import save_small

from pipeline.review_thresholds import known_thresholds


def test_models_of_both_folders_and_none_that_is_broken(tmp_path: Path) -> None:
    save_small(tmp_path, "strict", 1, threshold=0.25)
    save_small(tmp_path, "broken", 1, threshold=0.5)
    (tmp_path / "broken" / "card.json").write_text("{}")
    found = known_thresholds(tmp_path)
    assert found["strict-1"] == pytest.approx(0.25)
    assert {name.split("-")[0] for name in found} == {"strict", "champion"}
