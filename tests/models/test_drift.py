import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY as METRICS
from structlog.testing import capture_logs

from models import drift
from models.drift import ALERT_PSI, Drift, psi, reference_of, references

values = st.one_of(st.just(np.nan), st.floats(-10, 10), st.sampled_from([0.0, 1.0]))


@given(st.lists(values, max_size=60))
def test_every_value_is_in_one_bin(column: list[float]) -> None:
    found = reference_of(np.array(column, np.float64))
    assert found.edges == sorted(set(found.edges))
    assert len(found.shares) == len(found.edges) + 2
    assert sum(found.shares) == pytest.approx(1 if column else 0)
    missing = np.isnan(column).sum() if column else 0
    assert found.shares[-1] == pytest.approx(missing / max(len(column), 1))


@given(st.lists(st.integers(1, 1_000), min_size=2, max_size=12))
def test_the_same_shares_are_no_drift_and_no_others_are_less(counts: list[int]) -> None:
    found = np.array(counts)
    shares = (found / found.sum()).tolist()
    assert psi(shares, found) == pytest.approx(0, abs=1e-9)
    assert psi(shares, found[::-1]) >= 0
    assert np.isfinite(psi(shares, np.zeros(len(counts), np.int64)))


def test_a_textbook_value() -> None:
    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
    assert psi([0.5, 0.5], np.array([70, 30])) == pytest.approx(0.1694596)


def shown(name: str) -> float | None:
    return METRICS.get_sample_value("viewledger_drift_psi", {"feature": name})


def test_shows_what_drifts_and_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_ROWS", 500)
    rng = np.random.default_rng(1)

    def views(shift: float, missing: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        features = rng.normal(size=(32 * 500, 2))
        features[:, 1] += shift
        features[rng.random(len(features)) < missing, 0] = np.nan
        return features, rng.random(len(features)).astype(np.float32)

    watch = Drift(["same", "other"], references(["same", "other"], *views(0)))
    with capture_logs() as logs:
        watch.add(*views(0))
        assert all((shown(name) or 0) < 0.1 for name in ("same", "other", "score"))
        for _ in range(2):
            watch.add(*views(2))
        assert (shown("other") or 0) > ALERT_PSI > (shown("same") or 0)
        watch.add(*views(0))
        watch.add(*views(0, missing=0.9))
        assert (shown("same") or 0) > ALERT_PSI > (shown("other") or 0)
    assert [entry["feature"] for entry in logs] == ["other", "same"]


def test_says_nothing_before_it_has_seen_enough() -> None:
    features = np.zeros((3_200, 1))
    watch = Drift(["few"], references(["few"], features, features[:, 0]))
    watch.add(features, features[:, 0])
    assert shown("few") is None
    watch.add(features[:0], features[:0, 0])
