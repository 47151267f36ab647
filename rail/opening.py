"""Opening a rail by its address and profile."""

from __future__ import annotations

from typing import Any

from rail.grbl.axis import GrblAxis
from rail.grbl.link import Link
from rail.grbl.settings import meaning
from rail.ports import BAUD, open_port
from rail.profiles import RailProfile, load_profile


def open_axis(url: str, profile: RailProfile | str | None = None, *, baud: int = BAUD) -> GrblAxis:
    """Open the rail at `url` (``/dev/ttyUSB0``, ``socket://host:port``, ...), stopping what still moves there.

    Parameters
    ----------
    url : str
        A pyserial URL.
    profile : RailProfile, str or None
        A profile, the name of one or the path of its TOML file; None: the default one.
    baud : int
        Of a real serial port.

    Raises
    ------
    rail.errors.RailError
    """
    if not isinstance(profile, RailProfile):
        profile = load_profile(profile)
    return GrblAxis.connect(Link(open_port(url, baud=baud)), profile)


def describe_settings(axis: GrblAxis) -> dict[str, dict[str, Any]]:
    """The controller's settings: ``"$100"`` to ``{"value": 400.0, "meaning": "X: steps/mm"}``.

    Raises
    ------
    rail.errors.RailError
    """
    found = axis.settings()
    return {f"${number}": {"value": value, "meaning": meaning(number)} for number, value in sorted(found.items())}


def examine(axis: GrblAxis) -> list[dict[str, str]]:
    """What is wrong with the controller's set-up, worst first.

    Each finding has ``key``, ``severity`` (``wrong``, ``warning``, ``note``), ``message`` and ``remedy``.

    Raises
    ------
    rail.errors.RailError
    """
    found = axis.diagnose()
    return [{"key": f.key, "severity": f.severity.value, "message": f.message, "remedy": f.remedy} for f in found]
