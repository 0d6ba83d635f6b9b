import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encodings import encoded, fit_encodings, out_of_time


def columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {
        "campaign": rng.integers(1, 6, n).astype(np.uint64),
        "promoter": rng.integers(1, 4, n).astype(np.uint64),
    }


def log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_smoothed_log_odds() -> None:
    campaign = np.repeat([7, 8], [100, 300]).astype(np.uint64)
    positive = np.arange(400) < 50
    fitted = fit_encodings({"campaign": campaign}, positive)
    base = 50.5 / 401
    found = encoded(fitted, {"campaign": np.array([7, 8, 9], np.uint64)})[:, 0]
    expected = [(50 + 50 * base) / 150, (50 * base) / 350, base]
    np.testing.assert_allclose(found, [log_odds(one) for one in expected])


def test_a_rare_pair_says_what_its_parts_say() -> None:
    rng = np.random.default_rng(0)
    traffic = columns(rng, 5_000)
    positive = (traffic["campaign"] == 1) & (rng.random(5_000) < 0.5)
    fitted = fit_encodings(traffic, positive)
    assert [one.of for one in fitted.fitted][-1] == ("campaign", "promoter")
    unknown = {"campaign": np.array([1, 2], np.uint64), "promoter": np.array([99, 99], np.uint64)}
    of_campaign, _, of_pair = encoded(fitted, unknown).T
    assert of_pair[0] - of_pair[1] > 1
    np.testing.assert_allclose(of_pair - fitted.base, (of_campaign - fitted.base) / 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_000), st.integers(20, 200), st.data())
def test_no_training_row_is_told_its_own_label(seed: int, n: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    traffic, positive = columns(rng, n), rng.random(n) < 0.3
    row = data.draw(st.integers(0, n - 1))
    changed = positive.copy()
    changed[row] = not changed[row]
    one, other = (out_of_time(traffic, labels)[row] for labels in (positive, changed))
    np.testing.assert_array_equal(one, other)
