"""The tables of a card."""

from collections.abc import Iterable
from typing import Any

_RANKING = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC (average precision)",
    "recall_at_1pct_fpr": "recall at 1 % false positives",
    "recall_at_01pct_fpr": "recall at 0.1 % false positives",
}
_ROWS = {
    "people_flagged_by_model": "people's payable views flagged by the model",
    "people_flagged_in_worst_hour": "… in the worst hour",
    "people_flagged_by_lists": "people's views flagged by lists (VPNs in data centres)",
    "bots_caught_by_lists": "bots' views caught by lists",
    "bots_caught_by_model": "bots' payable views caught by the model",
    "bots_paid": "bots' views that are paid after all",
    "paid_views_that_are_bots": "paid views that are bots'",
    "money_leaked": "**money leaked: paid for bots' views**",
    "money_denied": "**money denied to people**",
}


def ranking_table(found: dict[str, Any]) -> list[str]:
    """How well scores rank."""
    return _table(("", "figure", "95 %"), _ranked(found))


def figures_table(tests: dict[str, Any]) -> list[str]:
    """The figures of all test views."""
    shares = ((title, _rate(tests[name]), _interval(tests[name])) for name, title in _ROWS.items())
    return _table(("", "figure", "95 %"), [*_ranked(tests), *shares])


def kinds_table(by_kind: dict[str, Any]) -> list[str]:
    """What becomes of each kind of bot, the best caught first."""
    model, money = ("model, of payable", "95 %"), ("money leaked", "95 %")
    columns = "kind", "views", "by lists", "unqualified", *model, "paid", *money
    rows = (
        (
            kind.replace("_", " "),
            f"{found['caught_by_lists']['n']:,}",
            _rate(found["caught_by_lists"]),
            _rate(found["unqualified_by_policy"]),
            _rate(found["caught_by_model"]),
            _interval(found["caught_by_model"]),
            _rate(found["paid"]),
            _rate(found["money_leaked"]),
            _interval(found["money_leaked"]),
        )
        for kind, found in sorted(by_kind.items(), key=lambda item: item[1]["paid"]["rate"])
    )
    return _table(columns, rows)


def sorts_table(by_sort: dict[str, Any]) -> list[str]:
    """How people and bots fare on days of each sort."""
    money = "money leaked", "money denied"
    columns = "day", "", "people flagged", "95 %", "bots caught by the model", *money
    rows = (
        (
            sort,
            found["description"],
            _rate(found["people_flagged"]),
            _interval(found["people_flagged"]),
            _rate(found["caught_by_model"]),
            _rate(found["money_leaked"]),
            _rate(found["money_denied"]),
        )
        for sort, found in by_sort.items()
    )
    return _table(columns, rows)


def platforms_table(by_platform: dict[str, Any]) -> list[str]:
    """How people and bots fare on each platform."""
    money = "money leaked", "95 %", "money denied", "95 %"
    columns = "platform", "people flagged", "bots caught by the model", "bots paid", *money
    rows = (
        (
            platform,
            _rate(found["people_flagged"]),
            _rate(found["caught_by_model"]),
            _rate(found["paid"]),
            _rate(found["money_leaked"]),
            _interval(found["money_leaked"]),
            _rate(found["money_denied"]),
            _interval(found["money_denied"]),
        )
        for platform, found in sorted(by_platform.items())
    )
    return _table(columns, rows)


def held_out_table(held_out: dict[str, Any]) -> list[str]:
    """What is caught of kinds by models that were shown them, and that were not."""
    columns = "kind", "payable views", "seen", "unseen", "95 %", "seen, at 1 %", "unseen, at 1 %"
    rows = (
        (
            kind.replace("_", " "),
            f"{found['seen']['caught']['n']:,}",
            _rate(found["seen"]["caught"]),
            _rate(found["held_out"]["caught"]),
            _interval(found["held_out"]["caught"]),
            _rate(found["seen"]["at_1pct"]),
            _rate(found["held_out"]["at_1pct"]),
        )
        for kind, found in held_out.items()
    )
    return _table(columns, rows)


def not_shown_table(not_shown: dict[str, Any]) -> list[str]:
    """What is caught of kinds that were left out of training."""
    rows = (
        (kind.replace("_", " "), f"{found['n']:,}", _rate(found), _interval(found))
        for kind, found in not_shown.items()
    )
    return _table(("kind", "payable views", "caught", "95 %"), rows)


def bins_table(bins: list[dict[str, Any]]) -> list[str]:
    """Probabilities against shares."""
    columns = "mean probability", "share of positives", "95 %", "n"
    rows = (
        (
            f"{row['probability']:.4f}",
            f"{row['share']['rate']:.4f}",
            f"{row['share']['low']:.4f}–{row['share']['high']:.4f}",
            f"{row['share']['n']:,}",
        )
        for row in bins
    )
    return _table(columns, rows)


def _ranked(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (title, f"{of['estimate']:.4f}", f"{of['low']:.4f}–{of['high']:.4f}")
        for name, title in _RANKING.items()
        for of in [found[name]]
    ]


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _rate(found: dict[str, Any]) -> str:
    return "–" if found["rate"] is None else f"{found['rate']:.2%}"


def _interval(found: dict[str, Any]) -> str:
    return "–" if found["rate"] is None else f"{found['low']:.2%}–{found['high']:.2%}"
