"""What happened to simulated traffic, kind by kind: the figures of `viewledger demo`."""

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from sinks.clickhouse import Client
from sinks.postgres import Connection


class Caught(NamedTuple):
    """What became of the distinct acceptable views of one kind of viewer."""

    kind: str
    views: int
    invalid: int
    """Judged not to be a person: right for bots, wrong for `human`."""
    unqualified: int
    """Not paid by the view policy anyway."""
    held: int
    paid: int


class Earned(NamedTuple):
    """What a promoter earned with a campaign."""

    campaign_id: str
    promoter_id: str
    currency: str
    views: int
    amount_micros: int
    capped_views: int


def judged_by_kind(client: Client, labels: Path) -> list[Caught]:
    """Compares the verdicts in ClickHouse with who really made each view."""
    kinds: dict[str, str] = {}
    with gzip.open(labels, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if not row["refusal"]:
                kinds.setdefault(row["event_id"], row["label"])
    verdicts: Counter[tuple[str, str]] = Counter()
    found = client.query("SELECT event_id, toString(verdict) FROM views")
    for event_id, verdict in found.result_rows:
        if event_id in kinds:
            verdicts[kinds[event_id], verdict] += 1
    return [
        Caught(
            kind,
            sum(count for (of, _), count in verdicts.items() if of == kind),
            *(verdicts[kind, verdict] for verdict in ("invalid", "unqualified", "held", "valid")),
        )
        for kind in sorted({kind for kind, _ in verdicts}, key=lambda kind: (kind != "human", kind))
    ]


def top_earners(connection: Connection, limit: int) -> list[Earned]:
    """The campaign and promoter pairs that earned most, per currency alike."""
    rows = connection.execute(
        "SELECT campaign_id, promoter_id, currency, sum(views)::bigint, sum(amount_micros)::bigint,"
        " sum(capped_views)::bigint FROM accruals GROUP BY 1, 2, 3"
        " ORDER BY sum(amount_micros) DESC, 1, 2 LIMIT %s",
        (limit,),
    )
    return [Earned(*row) for row in rows]
