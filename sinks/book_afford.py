"""Which views a budget and its days cover."""

import numpy as np
import numpy.typing as npt


def affordable(
    rates: npt.NDArray[np.int64],
    left: int,
    days: npt.NDArray[np.int64] | None = None,
    left_by_day: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.bool_]:
    """Which views are paid when each is paid if what is left of budget and day covers it.

    A pass for each time that a view is not covered: at most one per distinct rate and limit.

    Args:
        rates: of n views in log order, shape (n,).
        days: number of the day of each view, shape (n,); left out, no day has a limit.
        left_by_day: what is left of each of these days, micros.
    """
    if days is None or left_by_day is None:
        days, left_by_day = np.zeros(len(rates), np.int64), np.array([left], np.int64)
    paid = np.zeros(len(rates), dtype=np.bool_)
    day_left = left_by_day.copy()
    rows = np.flatnonzero(rates <= np.minimum(left, day_left[days]))
    while len(rows):
        fitting = _fitting(rates[rows], left)
        for day in np.unique(days[rows]).tolist():
            of_day = np.flatnonzero(days[rows] == day)
            fits = _fitting(rates[rows[of_day]], day_left[day])
            if fits < len(of_day):
                fitting = min(fitting, int(of_day[fits]))
        taken, rows = rows[:fitting], rows[fitting:]  # the first one always fits
        paid[taken] = True
        left -= int(rates[taken].sum())
        np.subtract.at(day_left, days[taken], rates[taken])
        rows = rows[rates[rows] <= np.minimum(left, day_left[days[rows]])]
    return paid


def _fitting(rates: npt.NDArray[np.int64], left: int) -> int:
    return int(np.searchsorted(np.cumsum(rates), left, side="right"))
