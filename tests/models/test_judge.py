import asyncio
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY as METRICS
from structlog.testing import capture_logs
from support.registry import save_small
from support.traffic import Event, batch_of, view

from models import drift, judge, networks
from models.drift import reference_of
from models.features import NAMES
from models.judge import Judge, weigh
from schemas.chosen import Chosen, Pin
from schemas.verdicts import Reason, Verdict, reason_labels

POLICY = Reason.BELOW_MIN_WATCH.bit
GIVT = Reason.DECLARED_BOT.bit
MISSING = Reason.VELOCITY_UNAVAILABLE.bit


def verdict(*, givt: bool, bot: bool, policy: bool, missing: bool) -> tuple[Verdict, list[str]]:
    found = weigh(
        policy=np.array([POLICY * policy], np.uint32),
        givt=np.array([GIVT * givt], np.uint32),
        score=None if missing else np.array([0.9 if bot else 0.1], np.float32),
        threshold=0.5,
        missing=MISSING * missing,
    )
    return Verdict(found.verdict[0]), reason_labels(int(found.reasons[0]))


ANY = list(product([False, True], repeat=4))


@pytest.mark.parametrize(("givt", "bot", "policy", "missing"), ANY)
def test_precedence(givt: bool, bot: bool, policy: bool, missing: bool) -> None:
    found, reasons = verdict(givt=givt, bot=bot, policy=policy, missing=missing)
    if givt or (bot and not missing):
        assert found is Verdict.INVALID
    elif policy:
        assert found is Verdict.UNQUALIFIED
    elif missing:
        assert found is Verdict.HELD
    else:
        assert found is Verdict.VALID
    expected = {
        "below_min_watch": policy,
        "declared_bot": givt,
        "model_score": bot and not missing,
        "velocity_unavailable": missing,
    }
    assert reasons == [name for name, there in expected.items() if there]


def test_the_threshold_itself_is_a_bot() -> None:
    score = np.array([0.49, 0.5, 0.51], np.float32)
    nothing = np.zeros(3, np.uint32)
    found = weigh(nothing, nothing, score, 0.5, 0).verdict
    assert found.tolist() == [Verdict.VALID, Verdict.INVALID, Verdict.INVALID]


def test_without_lists_the_model_still_finds_bots() -> None:
    nothing, score = np.zeros(2, np.uint32), np.array([0.1, 0.9], np.float32)
    found = weigh(nothing, None, score, 0.5, Reason.LISTS_UNAVAILABLE.bit)
    assert found.verdict.tolist() == [Verdict.HELD, Verdict.INVALID]


def judged(**options: bool) -> tuple[Verdict, list[str], float]:
    batch = batch_of([Event(view(), 1_790_000_000_000, 1_790_000_000_000)])
    features, policy = np.full((1, len(NAMES)), np.nan), np.zeros(1, np.uint32)
    found = Judge("champion").judge(batch, features, policy, **options)
    return Verdict(found.verdict[0]), reason_labels(int(found.reasons[0])), float(found.score[0])


def test_redis_down_is_held() -> None:
    found, reasons, score = judged(velocity_up=False)
    assert (found, reasons) == (Verdict.HELD, ["velocity_unavailable"])
    assert np.isnan(score)


def test_a_missing_model_is_held() -> None:
    found = Judge("no-such-model")
    assert found.versions["model_version"] == "unavailable"
    batch = batch_of([Event(view(), 1_790_000_000_000, 1_790_000_000_000)])
    features, policy = np.full((1, len(NAMES)), np.nan), np.zeros(1, np.uint32)
    result = found.judge(batch, features, policy, velocity_up=True)
    assert result.verdict.tolist() == [Verdict.HELD]
    assert reason_labels(int(result.reasons[0])) == ["model_unavailable"]


def test_missing_lists_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "IPCAT", Path("gone"))
    found, reasons, _ = judged(velocity_up=True)
    assert found is not Verdict.VALID
    assert "lists_unavailable" in reasons
    assert Judge("champion").versions["lists_version"] == "unavailable"


def test_an_empty_block() -> None:
    found = Judge("champion").judge(
        batch_of([]), np.empty((0, len(NAMES))), np.empty(0, np.uint32), velocity_up=True
    )
    assert [len(column) for column in found] == [0, 0, 0]


def test_follows_what_is_chosen_and_nothing_older(tmp_path: Path) -> None:
    one, two = save_small(tmp_path, "one"), save_small(tmp_path, "two")
    found = Judge("champion", tmp_path)

    def after(chosen: Chosen) -> str:
        asyncio.run(found.follow(chosen))
        return found.versions["model_version"]

    default = found.versions["model_version"]
    assert after(Chosen()) == default
    assert after(Chosen((one,), (), 1)) == "one-1"
    assert after(Chosen((two, one), (), 2)) == "two-1"
    assert after(Chosen((one,), (), 1)) == "two-1"  # a block that began before the change
    assert after(Chosen((one,), (), 3)) == "one-1"
    assert after(Chosen((), (), 4)) == default


def test_a_model_that_was_not_there_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = save_small(tmp_path, "late")
    (tmp_path / "late").rename(tmp_path / "elsewhere")
    found, chosen = Judge("champion", tmp_path), Chosen((pin,), (), 1)
    default = found.versions
    asyncio.run(found.follow(chosen))
    assert found.versions == default  # the old one stays
    shutil.move(tmp_path / "elsewhere", tmp_path / "late")
    asyncio.run(found.follow(chosen))
    assert found.versions == default
    monkeypatch.setattr(judge, "_AGAIN_S", 0.0)
    asyncio.run(found.follow(chosen))
    assert found.versions["model_version"] == "late-1"


def test_drift_is_watched_where_the_card_has_a_reference(tmp_path: Path) -> None:
    spread = {"watch_s": reference_of(np.arange(100.0))}
    watched = save_small(tmp_path, "watched", reference=spread)
    old = save_small(tmp_path, "old")
    found = Judge("champion", tmp_path)
    asyncio.run(found.follow(Chosen((watched,), (), 1)))
    n = 32 * drift._ROWS
    batch, features = batch_of([]), np.zeros((n, len(NAMES)))
    found._drift.add(features, np.zeros(n, np.float32))  # type: ignore[union-attr]
    value = METRICS.get_sample_value("viewledger_drift_psi", {"feature": "watch_s"})
    assert (value or 0) > drift.ALERT_PSI
    with capture_logs() as logs:
        asyncio.run(found.follow(Chosen((old,), (), 2)))
    assert [e["model"] for e in logs if e["event"].startswith("drift is not")] == ["old-1"]
    assert METRICS.get_sample_value("viewledger_drift_psi", {"feature": "watch_s"}) is None
    empty = found.judge(batch, features[:0], np.empty(0, np.uint32), velocity_up=True)
    assert len(empty.verdict) == 0


def test_drift_goes_on_while_another_model_is_missing(tmp_path: Path) -> None:
    save_small(tmp_path, "default", reference={"watch_s": reference_of(np.arange(100.0))})
    found, chosen = Judge("default", tmp_path), Chosen((), (Pin("gone", "0" * 64),), 1)
    asyncio.run(found.follow(chosen))
    watches, champion = found._drift, found._panel.champion
    found._seated -= judge._AGAIN_S + 1
    asyncio.run(found.follow(chosen))
    assert found._panel.champion is not champion  # loaded anew, and the same
    assert watches is not None
    assert found._drift is watches


def test_partitions_that_find_a_change_at_once_load_it_once(tmp_path: Path) -> None:
    chosen = Chosen((save_small(tmp_path, "one"),), (), 1)
    found = Judge("champion", tmp_path)

    async def all_at_once() -> None:
        await asyncio.gather(*[found.follow(chosen) for _ in range(5)])

    asyncio.run(all_at_once())
    assert found.versions["model_version"] == "one-1"
