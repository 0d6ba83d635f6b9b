"""How good a model is: figures with 95 % confidence intervals, bad ones included.

The intervals take views as independent. Views of one farm are not, so the truth is somewhat
less certain than they say.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from models.training import HUMAN, Examples, Scores

Bools = npt.NDArray[np.bool_]

_Z = 1.96
_RESAMPLES = 60
_HOUR_MS = 3_600_000


def rate(hits: int, n: int) -> dict[str, Any]:
    """A share with its Wilson interval."""
    if n == 0:
        return {"n": 0, "rate": None, "low": None, "high": None}
    p = hits / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return {"n": n, "rate": round(p, 5), "low": round(float(low), 5), "high": round(float(high), 5)}


def evaluate(examples: Examples, score: Scores, threshold: float, seed: int) -> dict[str, Any]:
    """The figures of a card.

    Args:
        examples: n labelled views that were not trained on.
        score: float32[n], the model's probability of a bot.
        threshold: from which on a view counts as a bot's.
        seed: of the resampling.
    """
    flagged, payable, human = score >= threshold, examples.payable, examples.human
    paid = payable & ~flagged
    bots = [str(kind) for kind in np.unique(examples.kind) if kind != HUMAN]
    return {
        "views": len(score),
        "payable_views": int(payable.sum()),
        "roc_auc": _resampled(roc_auc_score, ~human[payable], score[payable], seed),
        "average_precision": _resampled(
            average_precision_score, ~human[payable], score[payable], seed
        ),
        "people_flagged_by_model": people_flagged(examples, score, threshold),
        "people_flagged_in_worst_hour": _worst_hour(examples, flagged),
        "people_flagged_by_lists": _share(examples.givt != 0, human),
        "bots_caught_by_model": _share(flagged, payable & ~human),
        "bots_caught_by_lists": _share(examples.givt != 0, ~human),
        "bots_paid": _share(paid, ~human),
        "paid_views_that_are_bots": _share(~human, paid),
        "by_kind": {kind: _of_kind(examples, flagged, kind) for kind in bots},
    }


def people_flagged(examples: Examples, score: Scores, threshold: float) -> dict[str, Any]:
    """The share of people's payable views that the model takes for bots'."""
    return _share(score >= threshold, examples.payable & examples.human)


def _share(hits: Bools, among: Bools) -> dict[str, Any]:
    return rate(int((hits & among).sum()), int(among.sum()))


def _of_kind(examples: Examples, flagged: Bools, kind: str) -> dict[str, Any]:
    these = np.asarray(examples.kind == kind)
    return {
        "caught_by_lists": _share(examples.givt != 0, these),
        "unqualified_by_policy": _share((examples.givt == 0) & (examples.policy != 0), these),
        "caught_by_model": _share(flagged, these & examples.payable),
        "paid": _share(examples.payable & ~flagged, these),
    }


def _worst_hour(examples: Examples, flagged: Bools) -> dict[str, Any]:
    hour = (examples.log_time - examples.log_time.min()) // _HOUR_MS
    among = examples.payable & examples.human
    rates = [_share(flagged, among & (hour == h)) for h in np.unique(hour[among])]
    return max(rates, key=lambda found: float(found["rate"]))


def _resampled(metric: Any, bot: Bools, score: Scores, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    people, bots = np.flatnonzero(~bot), np.flatnonzero(bot)
    found = []
    for _ in range(_RESAMPLES):
        rows = np.append(rng.choice(people, len(people)), rng.choice(bots, len(bots)))
        found.append(metric(bot[rows], score[rows]))
    low, high = np.percentile(found, [2.5, 97.5])
    value = float(metric(bot, score))
    return {"value": round(value, 5), "low": round(float(low), 5), "high": round(float(high), 5)}
