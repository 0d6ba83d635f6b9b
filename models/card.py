"""The card of a model as a page to read."""

from typing import Any

from models.card_tables import (
    bins_table,
    figures_table,
    held_out_table,
    kinds_table,
    not_shown_table,
    platforms_table,
    ranking_table,
    sorts_table,
)
from models.registry import Card

_JUDGES = (
    "Gives the probability that a view is a bot's, for views that lists of declared bots and "
    "data centres let through. "
)
_WHAT = {
    "simulator": _JUDGES,
    "view": _JUDGES,
    "talkingdata": "Ranks clicks by how likely the app is installed. ",
    "wikipedia": "Ranks edits by how likely a robot made them. ",
}
_MADE = "Made by `viewledger models train`; not to be edited."
_REFUSED = (
    "**A scorer refuses this model.** It has encodings and columns that the stream does not, and "
    "what it looks for is not what makes a view invalid. It is for `viewledger models evaluate "
    "--model`."
)
_SIMULATED = (
    "Simulated traffic (`viewledger simulate`), decoded, admitted, freed of duplicates and turned "
    "into features by the stream's own steps, in log order. It is not the world: the figures say "
    "how the model does on bots that somebody thought of."
)
_SHARES = "Probabilities are right where bots are as frequent as in that part."
_CALIBRATED = (
    "Platt scaling of the raw score, `sigmoid({:.3f} × raw {:+.3f})`, fitted on the {} of the "
    "validation part, each of the same weight. " + _SHARES
)
_THRESHOLD = "{:.4f}, chosen on the validation part so that at most {:.2%} of {} are flagged."
_DAYS = (
    "Days differ more than the intervals say: of people's payable views {:.2%} to {:.2%} are "
    "flagged on the single test days, and {:.2%} in the part *later*."
)
_FIGURES = (
    "Of the test part, with 95 % intervals, for which whole {} were drawn ({:,} of them) and not "
    "views: views of one farm are not independent. *Payable* is what lists and view policy let "
    "through: only there the model decides about money."
)
_MONEY = (
    "*Leaked* is what is paid for bots' views, of all that would be if nobody judged; *denied* is "
    "what people's views are not paid, of what they would be. Of the views of a viewer, post and "
    "day one is paid, so a flagged one costs nothing if another passes. {}"
)
_HELD_OUT = (
    "*Unseen*: caught by a model that was not shown the kind in training nor in calibration. Both "
    "columns are of models that were trained on one view of four of the champion's, at a threshold "
    "that flags at most {:.2%}, and 1 %, of people's payable validation views."
)
_SORTS = (
    "Sorts of test days. For the threshold ordinary validation days have half of the weight, all "
    "others together the other half, and small days as much as large ones."
)
_PLOTS = {
    "roc.png": "ROC curve",
    "pr.png": "precision and recall",
    "calibration.png": "calibration",
    "scores.png": "scores by kind",
    "threshold.png": "what a threshold costs",
}


def card_text(card: Card) -> str:
    """`card.md`: what the model is, what it was trained on, and how good it is."""
    judges = card.data["source"] in ("simulator", "view")
    libraries = ", ".join(f"{name} {version}" for name, version in card.libraries.items())
    lines = [
        f"# {card.version}",
        "",
        _WHAT[card.data["source"]] + _MADE,
        "",
        *([] if judges else [_REFUSED, ""]),
        "## Data",
        *_data(card),
        "",
        "## Probability and threshold",
        _CALIBRATED.format(*card.calibration, "payable views" if judges else "events"),
        "",
        _THRESHOLD.format(
            card.threshold,
            card.data["false_positive_rate"],
            "people's payable views" if judges else "the other events",
        ),
        "",
        *(_judging(card) if judges else _ranking(card)),
        "## Features",
        f"{len(card.features)}, digest `{card.features_digest}`: {', '.join(card.features)}.",
        "",
        f"Made with {libraries}.",
    ]
    return "\n".join(lines) + "\n"


def _data(card: Card) -> list[str]:
    data = card.data
    simulated = data["source"] == "simulator"
    column = {"simulator": "seeds", "view": "bots"}.get(data["source"], "positives")
    rows = [f"| part | {column} | events |", "|---|---|---|"]
    for part in ("training", "later", "validation", "test"):
        if part in data:
            seeds = " to ".join(map(str, data[part].get("seeds", ())))
            what = seeds if simulated else f"{data[part]['positives']:,}"
            rows.append(f"| {part} | {what} | {data[part]['views']:,} |")
    held_out = ", ".join(data.get("held_out", ())).replace("_", " ")
    return [
        _SIMULATED if simulated else f"{', '.join(data['files'])} (adapter `{data['source']}`).",
        "",
        *rows,
        "",
        data["split"],
        *(["", f"**Not shown in training: {held_out}.**"] if held_out else []),
    ]


def _judging(card: Card) -> list[str]:
    tests, data = card.metrics["tests"], card.data
    lines = [
        "## Figures",
        _FIGURES.format(tests["drawn"]["whole"], tests["drawn"]["groups"]),
        "",
        *figures_table(tests),
        "",
    ]
    if flagged := card.metrics.get("people_flagged"):
        days = [day for day in flagged["test_days"] if day is not None]
        lines += [_DAYS.format(min(days), max(days), flagged["later"]), ""]
    if "by_sort" in card.metrics:
        lines += [_SORTS, "", *sorts_table(card.metrics["by_sort"]), ""]
    lines += _unseen(card)
    worth = (
        "EUR and USD are added as they are."
        if data.get("rates", True)
        else "No catalogue was given: every view is worth the same."
    )
    lines += [_MONEY.format(worth), ""]
    lines += ["## Kinds of bots", "", *kinds_table(tests["by_kind"]), ""]
    if "held_out" in card.metrics:
        text = _HELD_OUT.format(data["false_positive_rate"])
        lines += [text, "", *held_out_table(card.metrics["held_out"]), ""]
    if not_shown := card.metrics.get("not_shown"):
        text = "Caught of the kinds that were not shown, in all of the files:"
        lines += [text, "", *not_shown_table(not_shown), ""]
    lines += ["## Platforms", "", *platforms_table(tests["by_platform"]), ""]
    return [*lines, *_calibration(tests), *_plots(list(_PLOTS))]


def _ranking(card: Card) -> list[str]:
    tests = card.metrics["tests"]
    drawn = f"whole viewers were drawn ({tests['drawn']['groups']:,} of them)"
    return [
        "## Figures",
        f"Of the test part, with 95 % intervals, for which {drawn}.",
        "",
        *ranking_table(tests),
        "",
        *_unseen(card),
        *_calibration(tests),
        *_plots(list(_PLOTS)[:3]),
    ]


def _unseen(card: Card) -> list[str]:
    unseen: dict[str, Any] | None = card.metrics.get("unseen_viewers")
    if unseen is None:
        return []
    return [f"Of the {unseen['n']:,} events of unseen viewers:", "", *ranking_table(unseen), ""]


def _calibration(tests: dict[str, Any]) -> list[str]:
    found = tests["calibration"]
    error = f"expected error {found['expected_error']:.4f}, Brier score {found['brier']:.4f}"
    return ["## Calibration", f"On the test part: {error}.", "", *bins_table(found["bins"]), ""]


def _plots(names: list[str]) -> list[str]:
    return ["## Plots", *(f"![{_PLOTS[name]}]({name})" for name in names), ""]
