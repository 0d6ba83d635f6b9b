"""`store` without rule 3: it takes every block, from whomever and wherever it starts."""

from schemas import fencing
from schemas.fencing import Outcome, Position, Stamp


def take_anything(position: Position, stamp: Stamp) -> tuple[Position, Outcome]:
    """What `follow` must not be."""
    if stamp.kind == "marker":
        return Position(stamp.epoch, stamp.writer, position.next_raw), Outcome.MARKER
    next_raw = max(position.next_raw, stamp.raw_next)
    return position._replace(next_raw=next_raw), Outcome.BLOCK


if __name__ == "__main__":
    fencing.follow = take_anything
    from pipeline.worker import main

    main("store")
