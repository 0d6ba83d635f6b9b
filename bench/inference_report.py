"""What evaluating a forest costs, as a table."""

from typing import Any

from bench.sheet import Sheet


def sheets_of_inference(found: dict[str, Any] | None) -> list[Sheet]:
    """Nothing where it was not run."""
    if found is None:
        return []
    sizes = list(found["runs"][0]["us_per_row"])
    head = ["by", "trees × leaves", *(f"of {int(size):,}" for size in sizes)]
    head += ["equal", "off by", "load s", "MB"]
    rows = [
        [
            f"{one['candidate']} ({one['package']})",
            f"{one['trees']} × {one['leaves']}",
            *(f"{one['us_per_row'][size]:.2f}" for size in sizes),
            f"{one['equal']:.0%}",
            f"{one['off']:.0e}" if one["off"] else "0",
            f"{one['import_s'] + one['load_s']:.2f}",
            f"{one['rss'] / 2**20:,.0f}",
        ]
        for one in found["runs"]
    ]
    title = f"Forests on {found['features']} features: µs of CPU time per view, in blocks"
    return [Sheet(title, head, rows)]


def of_forest(found: dict[str, Any]) -> float:
    """µs per view of the largest block by `models.forest`, for the slower of the shapes."""
    return max(
        float(list(one["us_per_row"].values())[-1])
        for one in found["runs"]
        if one["candidate"] == "models.forest"
    )
