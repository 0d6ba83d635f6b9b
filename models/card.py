"""The card of a model as a page to read."""

from typing import Any

from models.features import FEATURES
from models.registry import Card

_WHAT = (
    "Gives the probability that a view is a bot's, for views that lists of declared bots and "
    "data centres let through. Made by `viewledger models train`; not to be edited."
)
_DATA = (
    "Simulated traffic (`viewledger simulate`), decoded, admitted, freed of duplicates and turned "
    "into features by the stream's own steps, in log order. It is not the world: the figures say "
    "how the model does on bots that somebody thought of."
)
_THRESHOLD = (
    "Chosen on the validation views so that at most {:.2%} of people's payable views are flagged."
)
_DAYS = (
    "Days differ more than the intervals say: of people's payable views {:.2%} to {:.2%} are "
    "flagged on the single test days, and {:.2%} in the part *later*."
)
_FIGURES = (
    "On the test days, with 95 % intervals. *Payable* is what lists and view policy let through: "
    "only there the model decides about money. The intervals take views as independent, which "
    "those of one farm are not."
)


def card_text(card: Card) -> str:
    """`card.md`: what the model is, what it was trained on, and how good it is."""
    tests, later = card.metrics["tests"], card.metrics["later"]["people_flagged_by_model"]
    days = [day["rate"] for day in card.metrics["people_flagged_by_test_day"]]
    libraries = ", ".join(f"{name} {version}" for name, version in card.libraries.items())
    lines = [
        f"# {card.version}",
        "",
        _WHAT,
        "",
        "## Data",
        _DATA,
        "",
        "| part | seeds | views |",
        "|---|---|---|",
        *(
            f"| {part} | {', '.join(map(str, card.data[part]['seeds']))} "
            f"| {card.data[part]['views']:,} |"
            for part in ("training", "later", "validation", "test")
        ),
        "",
        card.data["split"],
        "",
        "## Threshold",
        f"{card.threshold:.4f}. {_THRESHOLD.format(card.data['false_positive_rate'])}",
        "",
        "## Figures",
        _FIGURES,
        "",
        *_figures(tests),
        "",
        _DAYS.format(min(days), max(days), later["rate"]),
        "",
        "By kind of bot:",
        "",
        *_kinds(tests["by_kind"]),
        "",
        "## Features",
        f"{len(FEATURES)}, digest `{card.features_digest}`: {', '.join(card.features)}.",
        "",
        f"Made with {libraries}.",
    ]
    return "\n".join(lines) + "\n"


_ROWS = {
    "roc_auc": "ROC AUC on payable views",
    "average_precision": "average precision on payable views",
    "people_flagged_by_model": "people's payable views flagged by the model",
    "people_flagged_in_worst_hour": "… in the worst hour",
    "people_flagged_by_lists": "people's views flagged by lists (VPNs in data centres)",
    "bots_caught_by_lists": "bots' views caught by lists",
    "bots_caught_by_model": "bots' payable views caught by the model",
    "bots_paid": "bots' views that are paid after all",
    "paid_views_that_are_bots": "paid views that are bots'",
}


def _figures(tests: dict[str, Any]) -> list[str]:
    rows = ["| | figure | 95 % |", "|---|---|---|"]
    for name, title in _ROWS.items():
        found = tests[name]
        if "value" in found:
            rows.append(
                f"| {title} | {found['value']:.4f} | {found['low']:.4f}–{found['high']:.4f} |"
            )
        else:
            rows.append(f"| {title} | {_rate(found)} | {_interval(found)} |")
    return rows


def _kinds(by_kind: dict[str, Any]) -> list[str]:
    rows = [
        "| kind | views | by lists | unqualified | model, of payable | 95 % | paid after all |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, found in sorted(by_kind.items(), key=lambda item: item[1]["paid"]["rate"]):
        lists, model = found["caught_by_lists"], found["caught_by_model"]
        cells = [
            kind.replace("_", " "),
            f"{lists['n']:,}",
            _rate(lists),
            _rate(found["unqualified_by_policy"]),
            _rate(model),
            _interval(model),
            _rate(found["paid"]),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _rate(found: dict[str, Any]) -> str:
    return "–" if found["rate"] is None else f"{found['rate']:.2%}"


def _interval(found: dict[str, Any]) -> str:
    return "–" if found["rate"] is None else f"{found['low']:.2%}–{found['high']:.2%}"
