"""A log that is stored and booked, and what settlement is to find in it."""

from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pyarrow as pa
from support.blocks import START, block
from support.ledger import campaign

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


def stored_log(store: Settings, chance: Random) -> Log:
    """Two blocks of views of one promoter, each valid or held; about a third is to change."""
    changes, released = [], 0
    with clickhouse.connect(store.url("clickhouse")) as client, postgres.connect(store) as conn:
        save_campaigns(conn, [campaign(10**9, campaign_id="c", hold_hours=0)])
        for partition in (0, 1):
            made = block(0, ROWS, partition=partition)
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
            insert_block(client, partition, 0, START, Stamp("block", "w", 1, 0, ROWS), made)
            book(conn, partition, Progress(), Progress(Position(1, "w", ROWS), 1), [accepted])
            for row, was in zip(accepted.to_pylist(), verdicts, strict=True):
                became = was
                if chance.random() < 0.35:
                    became = Verdict.INVALID
                    if was == Verdict.HELD and chance.random() < 0.5:
                        became = Verdict.VALID
                    where = (partition, row["raw_offset"], 0, row["event_id"], row["log_time"])
                    whose = ("c", PROMOTER, "EUR", RATE)
                    changes.append(Change(*where, *whose, was, 0, became, 0))
                released += RATE * (became == Verdict.VALID)
    return Log(changes, released)
