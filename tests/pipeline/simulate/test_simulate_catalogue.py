import numpy as np
import pytest

from pipeline.simulate.catalogue import make_catalogue
from pipeline.simulate.simulate import simulate
from sinks.catalogue_file import read_campaigns, read_promoters


@pytest.mark.parametrize("name", ["cat.jsonl", "cat.gz", "cat"])
def test_both_imports_take_their_own_lines(tmp_path, name):
    simulate(500, 3, tmp_path / "events", catalogue=tmp_path / name)
    made = make_catalogue(np.random.default_rng(3).spawn(5)[0], 500)
    assert read_campaigns(tmp_path / name) == made.campaigns
    assert read_promoters(tmp_path / name) == made.promoters


@pytest.mark.parametrize("events", [1, 1_000, 1_000_000])
def test_there_is_one_of_each_special_campaign(events):
    campaigns = make_catalogue(np.random.default_rng(1), events).campaigns
    assert [c.status for c in campaigns].count("paused") == 1
    assert sum(c.ends_at.year == 2020 for c in campaigns) == 1
    assert sum(c.starts_at.year == 2099 for c in campaigns) == 1
    limited = min(c.budget_micros // c.rate_micros for c in campaigns)
    assert 1 <= limited <= max(1, events // 4)
    assert len({c.campaign_id for c in campaigns}) == len(campaigns)
