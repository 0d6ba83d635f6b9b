"""Figures for a person."""

from typing import Any

_ROWS = (
    ("ROC-AUC", "roc_auc"),
    ("PR-AUC", "pr_auc"),
    ("recall at 1 % false positives", "recall_at_1pct_fpr"),
    ("recall at 0.1 % false positives", "recall_at_01pct_fpr"),
)


def as_text(found: dict[str, Any]) -> str:
    """What `evaluate_files` found, in a few lines."""
    counted = f"{found['n']:,} of {found['events']:,} events count"
    lines = [
        f"{counted}, {found['positives']:,} positive, of {found['viewers']:,} viewers",
        f"trained on {found['trained_on']:,} events"
        if found["model"] is None
        else f"model {found['model']}",
        f"memory warmed with {found['warmed_with']:,} events"
        if found["warmed_with"]
        else "memory cold at the first event",
    ]
    for name, key in _ROWS:
        figure = found[key]
        interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
        lines.append(f"{name:<32} {figure['estimate']:.3f} {interval}")
    return "\n".join(lines)
