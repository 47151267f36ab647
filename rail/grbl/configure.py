"""Which settings of a controller a profile changes: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rail.grbl.settings import meaning, per
from rail.profiles import RailProfile

_SAME = 0.0006  # settings have three decimals


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs.

    Attributes
    ----------
    number : int
        GRBL's.
    name : str
        What it is called on this controller.
    now, wanted : float
        In the unit in which this controller shows it.
    meaning : str
        With that unit.
    """

    number: int
    name: str
    now: float
    wanted: float
    meaning: str


def changes(
    profile: RailProfile, settings: Mapping[int, float], dialect: str, name: Callable[[int], str]
) -> list[Change]:
    """What of `settings` differs from what the rail of `profile` needs, in the order in which it is to be written.

    Steps/mm follow from the parts or the calibration; speed, acceleration, travel and direction are written where the
    profile gives them; beyond that only what every rail needs: the motor held, millimetres, machine positions, no laser.
    """
    wanted: dict[int, float] = {}
    if dialect in {"grbl", "grblhal"}:
        wanted |= {1: 255.0, 10: float(int(settings.get(10, 1)) | 1), 13: 0.0, 32: 0.0}
        if profile.direction_inverted is not None:
            wanted[3] = float(int(settings.get(3, 0)) & ~1 | int(profile.direction_inverted))
    elif dialect == "fluidnc":
        wanted[1] = 255.0
    if profile.steps_per_mm is not None:
        wanted[100] = profile.steps_per_mm
    if profile.feed_um_s is not None:
        wanted[110] = profile.feed_um_s * 60 / 1000
    if profile.acceleration_um_s2 is not None:
        wanted[120] = profile.acceleration_um_s2 / 1000
    if profile.travel_um is not None and dialect != "marlin":
        wanted[130] = profile.travel_um / 1000 + settings.get(27, 0.0) * bool(
            settings.get(22, 0) and dialect != "fluidnc"
        )
    rounding = 0.006 if dialect == "marlin" else _SAME  # M503 shows two decimals
    found = (
        Change(number, name(number), settings[number] / unit, value / unit, meaning(number, dialect))
        for number, value in wanted.items()
        if number in settings and (unit := per(number, dialect))
    )
    return [change for change in found if abs(change.now - change.wanted) > max(rounding, 1e-6 * abs(change.wanted))]
