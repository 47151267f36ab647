"""Where a rail may go, and from which side it goes there: from profile, settings and ledger, without I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rail.errors import RailLimitError, RailUsageError
from rail.grbl.dialects import HOME_MM
from rail.grbl.position import Ledger
from rail.profiles import RailProfile


def limits(profile: RailProfile, settings: Mapping[int, float], ledger: Ledger) -> tuple[float, float]:
    """Lowest and highest allowed position, um: the travel once homed, else the profile's range.

    Where the controller has soft limits of its own ($20), they narrow the range: beyond them it would go into ALARM:2.
    """
    grid = ledger.grid
    low, high = profile.range_low_um, profile.range_high_um
    to_negative = bool(int(settings.get(23, 0)) & 1)
    length, pull_off = settings.get(130, 0.0), settings.get(27, 0.0)
    if ledger.homed:
        travel = profile.travel_um
        if travel is None:
            travel = abs(grid.um(grid.steps_at(max(length - pull_off, 0.0))))
        away = grid.sign if to_negative else -grid.sign
        low, high = sorted((profile.home_position_um, profile.home_position_um + away * travel))
    if settings.get(20, 0) and ledger.origin is not None:
        bottom, top = (pull_off - length, 0.0) if to_negative else (-length, -pull_off)
        home = settings.get(HOME_MM)
        if home is not None:
            bottom, top = (home, home + length) if to_negative else (home - length, home)
        first, last = sorted(grid.um(grid.steps_at(end) - ledger.origin) for end in (bottom, top))
        low, high = max(low, first), min(high, last)
    return low + 0.0, high + 0.0


def check_target(target: float, allowed: tuple[float, float], ledger: Ledger) -> None:
    """Raise `RailLimitError` where `target`, um, lies outside."""
    low, high = allowed
    slack = ledger.grid.step_um / 2 + 1e-6
    if low - slack <= target <= high + slack:
        return
    why = "the rail's travel" if ledger.homed else "the allowed range while it is not homed"
    raise RailLimitError(
        f"{target:.1f} um lies outside {low:.1f} to {high:.1f} um, {why}.",
        remedy="Choose a target inside, zero nearer to it, or set the range in the rail's profile.",
        state="Nothing has moved.",
    )


def check_jog(distance: float, allowed: tuple[float, float], ledger: Ledger) -> None:
    """Raise `RailLimitError` where a jog would leave the range, or be longer than all of it."""
    low, high = allowed
    if ledger.position_um is not None:
        check_target(ledger.position_um + distance, allowed, ledger)
    elif abs(distance) > high - low:
        raise RailLimitError(
            f"A jog of {distance:.0f} um is longer than the whole range of {high - low:.0f} um.",
            remedy="Jog in smaller parts.",
            state="Nothing has moved.",
        )


def approach_from(
    goal: int, profile: RailProfile, allowed: tuple[float, float], ledger: Ledger, *, rising: bool | None
) -> int | None:
    """The machine step to start the last leg to `goal` from; None where the way there comes from the right side anyway.

    Parameters
    ----------
    goal : int
        Machine step.
    allowed : tuple of float
        The take-up stays inside, um.
    rising : bool or None
        Direction of the last motion, in positions; None where it is not known.
    """
    take_up, sign = profile.take_up_um, profile.approach_sign
    if take_up <= 0 or ledger.machine is None or ledger.origin is None:
        return None
    ahead = ledger.grid.um(goal - ledger.machine) * sign
    if ahead >= take_up or (ahead >= 0 and rising is (sign > 0)):
        return None
    low, high = allowed
    return ledger.target(min(max(ledger.grid.um(goal - ledger.origin) - sign * take_up, low), high))


def finite(value: float, what: str) -> None:
    """Raise `RailUsageError` for what is no number of micrometres."""
    if not math.isfinite(value):
        raise RailUsageError(
            f"{value} is no {what}.", remedy="Give a number of micrometres.", state="Nothing has moved."
        )
