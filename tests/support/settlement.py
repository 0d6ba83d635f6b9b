"""A log that is stored and booked, and what settlement is to find in it."""

from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pyarrow as pa
from support.blocks import START, block
from support.ledger import HOUR_MS, campaign

from schemas.block import ACCEPTED
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks import clickhouse, postgres
from sinks.book import book
from sinks.catalogue import save_campaigns
from sinks.correct_types import Change
from sinks.store import insert_block

PROMOTER = "pauline"
ROWS = 40
RATE = 1_000


class Log(NamedTuple):
    """What is to be corrected, and what is left then."""

    changes: list[Change]
    released: int
    """Micros payable: of what is valid then; there is no hold."""

    def save(self, path: Path) -> None:
        """For the process that corrects."""
        path.write_bytes(msgspec.json.encode(self.changes))


def stored_log(store: Settings, chance: Random, hours: int = 1) -> Log:
    """Blocks of views of one promoter, each valid or held; about a third is to change.

    There is one of each hour in each of two partitions.
    """
    changes, released = [], 0
    with clickhouse.connect(store.url("clickhouse")) as client, postgres.connect(store) as conn:
        save_campaigns(conn, [campaign(10**9, campaign_id="c", hold_hours=0)])
        for partition, hour in product((0, 1), range(hours)):
            begin, end = hour * ROWS, (hour + 1) * ROWS
            made = block(begin, ROWS, partition=partition, start=START + hour * HOUR_MS)
            verdicts = [chance.choice([Verdict.VALID, Verdict.HELD]) for _ in range(ROWS)]
            columns = {
                "campaign_id": ["c"] * ROWS,
                "promoter_id": [PROMOTER] * ROWS,
                "currency": ["EUR"] * ROWS,
                "rate_micros": [RATE] * ROWS,
                "verdict": list(map(int, verdicts)),
                "reasons": [0] * ROWS,
            }
            accepted = made.accepted
            for name, values in columns.items():
                place, kind = accepted.column_names.index(name), ACCEPTED.field(name).type
                accepted = accepted.set_column(place, ACCEPTED.field(name), pa.array(values, kind))
            made = made._replace(accepted=accepted)
            insert_block(client, partition, hour, START, Stamp("block", "w", 1, begin, end), made)
            before = Progress(Position(1, "w", begin), hour) if hour else Progress()
            book(conn, partition, before, Progress(Position(1, "w", end), hour + 1), [accepted])
            for row, was in zip(accepted.to_pylist(), verdicts, strict=True):
                became = was
                if chance.random() < 0.35:
                    became = Verdict.INVALID
                    if was == Verdict.HELD and chance.random() < 0.5:
                        became = Verdict.VALID
                    where = (partition, row["raw_offset"], hour, row["event_id"], row["log_time"])
                    whose = ("c", PROMOTER, "EUR", RATE)
                    changes.append(Change(*where, *whose, was, 0, became, 0))
                released += RATE * (became == Verdict.VALID)
    return Log(changes, released)
