import numpy as np
from support.examples import examples

from models.payments import payments


def test_the_money_is_what_the_stream_would_pay() -> None:
    """View by view in log order, as `pipeline.score.steps` pays."""
    rng = np.random.default_rng(3)
    some = examples(600)._replace(
        once=rng.integers(0, 200, 600).astype(np.uint64),
        givt=(rng.random(600) < 0.2).astype(np.uint32),
        policy=(rng.random(600) < 0.2).astype(np.uint32),
    )
    score = rng.random(600).astype(np.float32)
    paid: set[int] = set()
    for row in np.flatnonzero(some.payable & (score < 0.4)).tolist():
        paid.add(int(some.once[row]))
    found = payments(some, score)
    assert set(some.once[found.view[found.lowest < 0.4]].tolist()) == paid
