"""What a rail's profile was taught, for commands that were not told it."""

from __future__ import annotations

from capture.app.output import say
from capture.settings import Settings
from rail.profiles import load_profile


def magnification_for(settings: Settings, flag: float | None) -> float | None:
    """The magnification as given, as set, or as `rail calibrate magnification` wrote it into the profile, which is said; else None.

    Parameters
    ----------
    flag : float or None
        As given on the command line.

    Raises
    ------
    rail.errors.RailUsageError
        No such profile.
    """
    told = settings.choose("magnification", flag)
    if told is not None:
        return float(told)
    if str(settings.choose("rail", None, "")).startswith("lens:"):  # the focus motor of a lens has no profile
        return None
    found = load_profile(settings.choose("profile", None)).calibration.get("magnification")
    if found is None:
        return None
    say(
        f"magnification {found.value:g}, as calibrated on {found.date[:10]}: give --magnification where lens or extension changed since"
    )
    return found.value
