"""How good a judge is on labelled views, in views and in money: figures with 95 % intervals."""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.figures import figures
from models.payments import payments
from models.resampling import RESAMPLES, Bools, Groups, Ints, groups_of, rounded, share
from models.training import Examples, Scores

_HOUR_MS = 3_600_000
_BIN_EDGES = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99])
"""Of the table of calibration: finer where most views are."""


def evaluate(examples: Examples, score: Scores, threshold: float, seed: int) -> dict[str, Any]:
    """The figures of a card.

    Args:
        examples: n labelled views that were not trained on, those of `human` and of bots.
        score: float32[n], the model's probability of a bot.
        threshold: from which on a view counts as a bot's.
        seed: of the resampling.

    Raises:
        ValueError: all payable views are of people, or none.
    """
    flagged, payable, human = score >= threshold, examples.payable, examples.human
    groups = groups_of(examples, seed)

    def of(hits: Bools, among: Bools) -> dict[str, Any]:
        return share(hits, among, groups.of, groups.times)

    ranking = figures(
        ~human[payable],
        score[payable].astype(np.float64),
        groups.of[payable],
        seed,
        resamples=RESAMPLES,
    )
    paid = payable & ~flagged
    return {
        "views": len(score),
        "payable_views": int(payable.sum()),
        "drawn": {"whole": groups.whole, "groups": groups.times.shape[1]},
        **{name: ranking[name] for name in RANKING},
        "calibration": calibration(
            ~human[payable], score[payable], groups.of[payable], groups.times
        ),
        "people_flagged_by_model": of(flagged, payable & human),
        "people_flagged_in_worst_hour": _worst_hour(examples, flagged, groups),
        "people_flagged_by_lists": of(examples.givt != 0, human),
        "bots_caught_by_model": of(flagged, payable & ~human),
        "bots_caught_by_lists": of(examples.givt != 0, ~human),
        "bots_paid": of(paid, ~human),
        "paid_views_that_are_bots": of(~human, paid),
        **_in_money(examples, score, threshold, groups),
        "by_kind": _apart(examples, score, threshold, groups, examples.kind, ~human),
        "by_platform": _apart(
            examples, score, threshold, groups, examples.platform, np.ones_like(human)
        ),
    }


RANKING = ("roc_auc", "pr_auc", "recall_at_1pct_fpr", "recall_at_01pct_fpr")
"""Names of figures, each with `estimate`, `low` and `high`."""


def in_short(examples: Examples, score: Scores, threshold: float, seed: int) -> dict[str, Any]:
    """What becomes of people and bots; arguments as of `evaluate`."""
    groups = groups_of(examples, seed)
    flagged, payable, human = score >= threshold, examples.payable, examples.human
    return {
        "people_flagged": share(flagged, payable & human, groups.of, groups.times),
        "caught_by_model": share(flagged, payable & ~human, groups.of, groups.times),
        **_in_money(examples, score, threshold, groups),
    }


def people_flagged(examples: Examples, score: Scores, threshold: float) -> float | None:
    """The share of people's payable views that the model takes for bots'; None of none."""
    people = score[examples.payable & examples.human]
    return rounded(np.mean(people >= threshold)) if len(people) else None


def calibration(bot: Bools, score: Scores, of: Ints, times: Ints) -> dict[str, Any]:
    """How near probabilities are to shares of bots, over all and in bins of probability.

    Args:
        bot: bool[n].
        score: float32[n].
        of: the group of each, int64[n].
        times: see `Groups`.
    """
    bins = np.searchsorted(_BIN_EDGES, score, side="right")
    table: list[dict[str, Any]] = []
    for i in np.unique(bins).tolist():
        these = bins == i
        found = share(bot, these, of, times)
        table.append({"probability": rounded(score[these].mean()), "share": found})
    error = sum(row["share"]["n"] * abs(row["probability"] - row["share"]["rate"]) for row in table)
    return {
        "expected_error": rounded(error / len(score)),
        "brier": rounded(np.mean((score - bot) ** 2)),
        "bins": table,
    }


def _in_money(
    examples: Examples, score: Scores, threshold: float, groups: Groups
) -> dict[str, Any]:
    found = payments(examples, score)
    human, of = examples.human[found.view], groups.of[found.view]
    paid = found.lowest < threshold
    return {
        "money_leaked": share(found.micros * paid, found.micros * ~human, of, groups.times),
        "money_denied": share(found.micros * ~paid, found.micros * human, of, groups.times),
    }


def _apart(
    examples: Examples,
    score: Scores,
    threshold: float,
    groups: Groups,
    names: npt.NDArray[np.str_],
    which: Bools,
) -> dict[str, Any]:
    """Figures of parts of the views by name."""
    flagged, payable, human = score >= threshold, examples.payable, examples.human
    found = payments(examples, score)
    paid, micros, owner = found.lowest < threshold, found.micros, examples.human[found.view]
    of = groups.of[found.view]
    parts = {}
    for name in np.unique(names[which]).tolist():
        these = which & (names == name)
        earns = these[found.view]
        shares = {
            "caught_by_lists": (examples.givt != 0, these & ~human),
            "unqualified_by_policy": (examples.policy * (examples.givt == 0) != 0, these & ~human),
            "caught_by_model": (flagged, these & payable & ~human),
            "paid": (payable & ~flagged, these & ~human),
            "people_flagged": (flagged, these & payable & human),
        }
        money = {
            "money_leaked": (micros * paid, micros * (earns & ~owner)),
            "money_denied": (micros * ~paid, micros * (earns & owner)),
        }
        parts[name] = {
            **{key: share(*pair, groups.of, groups.times) for key, pair in shares.items()},
            **{key: share(*pair, of, groups.times) for key, pair in money.items()},
        }
    return parts


def _worst_hour(examples: Examples, flagged: Bools, groups: Groups) -> dict[str, Any]:
    hour = (examples.log_time - examples.log_time.min()) // _HOUR_MS
    among = examples.payable & examples.human
    rates = [
        share(flagged, among & (hour == h), groups.of, groups.times) for h in np.unique(hour[among])
    ]
    return max(rates, key=lambda found: float(found["rate"]))
