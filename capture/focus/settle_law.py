"""What shifts of the picture after moves say of the settle time: a law of the shake where there is one, else what is left of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capture.focus.shake import ShakeLaw, fit_envelope, fit_shake, refined, weights_of

F64 = NDArray[np.float64]

SETTLED_PX = 0.25
"""Of the still: a shake below does not show."""

# No real shake dies away just as the law says (dry friction ends it, several parts swing): so much of a value is open however alike
# the moves are.
_LAW_OPEN = 0.12

# How much later than the last shaken frame the next was seen, where no later one is there.
_REST_S = 0.12
_EXPLAINED = 0.6
_STUDENT = 2.2


@dataclass(frozen=True, slots=True)
class SettleEstimate:
    """How long to wait after a move.

    Attributes
    ----------
    value_s, uncertainty_s : float
        From the motor's stop until the shake stays below `SETTLED_PX`; half the width of the 95 % confidence interval of what differs
        from move to move.
    law : ShakeLaw or None
        In pixels of the still; None where nothing shakes, or not regularly: the notes say what the value is then.
    rest_px : float
        How much a picture at rest seems to move: noise, air, the building.
    moves, frames : int
    notes : tuple of str
    """

    value_s: float
    uncertainty_s: float
    law: ShakeLaw | None
    rest_px: float
    moves: int
    frames: int
    notes: tuple[str, ...] = ()

    @property
    def open_s(self) -> float:
        """Half the width within which the settle time lies: what differs from move to move, and what the law leaves open."""
        return math.hypot(self.uncertainty_s, _LAW_OPEN * self.value_s)


def conclude(
    times_s: F64, shifts: F64, move: NDArray[np.intp], exposure_s: float, rest_px: float, frames: int = 0
) -> SettleEstimate:
    """The settle time from shifts, in pixels of the still, at times after the moves they belong to.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
    shifts : ndarray, shape (n, 2)
    move : ndarray of int, shape (n,)
        Which move each belongs to.
    exposure_s, rest_px : float
    frames : int
    """
    count = len(np.unique(move))
    size = np.hypot(shifts[:, 0], shifts[:, 1])
    notes = (
        [] if rest_px < SETTLED_PX else [f"the picture never rests: {rest_px:.2f} px of the still from frame to frame"]
    )
    if float(np.sqrt((size * size).mean())) < 1.5 * rest_px or size.max() < SETTLED_PX:
        return SettleEstimate(0.0, 0.0, None, rest_px, count, frames, tuple(notes))
    law = fit_shake(times_s, shifts, exposure_s, rest_px)
    if law is None or law.explained < _EXPLAINED:
        value, uncertainty = _without_law(times_s, shifts, move, rest_px, notes)
        return SettleEstimate(value, uncertainty, None, rest_px, count, frames, tuple(notes))
    without = [
        refined(
            replace(law, explained=0.0),
            times_s[move != one],
            shifts[move != one],
            exposure_s,
            weights=weights_of(law, times_s[move != one], rest_px),
        ).settled_s(SETTLED_PX)
        for one in np.unique(move)
    ]
    spread = math.sqrt((count - 1) / count * float(((np.array(without) - np.mean(without)) ** 2).sum()))
    return SettleEstimate(
        float(law.settled_s(SETTLED_PX)), _STUDENT * spread, law, rest_px, count, frames, tuple(notes)
    )


def _without_law(
    times_s: F64, shifts: F64, move: NDArray[np.intp], rest_px: float, notes: list[str]
) -> tuple[float, float]:
    """Value and uncertainty where phases tell nothing: from how the sizes fall, else between the last shaken frame and the next."""

    def falls(chosen: NDArray[np.bool_]) -> float | None:
        found = fit_envelope(times_s[chosen], shifts[chosen], rest_px)
        return None if found is None else max(found[1] * math.log(max(found[0] / SETTLED_PX, 1.0)), 0.0)

    value = falls(np.ones(len(times_s), np.bool_))
    without = [falls(move != one) for one in np.unique(move)]
    if value is not None and all(one is not None for one in without):
        notes.append(
            "the shake's phase differs from move to move, or the frames' times are not exact: its size alone counts"
        )
        spread = np.array([one for one in without if one is not None])
        count = len(spread)
        return value, _STUDENT * math.sqrt((count - 1) / count * float(((spread - spread.mean()) ** 2).sum()))
    size = np.hypot(shifts[:, 0], shifts[:, 1])
    shaken = times_s[size > max(SETTLED_PX, 3 * rest_px)]
    last_s = float(shaken.max()) if len(shaken) else 0.0
    later = times_s[times_s > last_s]
    quiet_s = float(later.min()) if len(later) else last_s + _REST_S
    notes.append("the shake follows no law; the value is the first moment from which none was seen")
    return quiet_s, quiet_s - last_s
