"""Opening a rail by its address and profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rail.errors import RailTimeoutError
from rail.grbl.axis import GrblAxis
from rail.grbl.configure import Change
from rail.grbl.link import Link
from rail.grbl.settings import meaning, per
from rail.holders import PROGRAMS
from rail.last_words import forget_halt, remember_halt, was_halted
from rail.marlin.link import MarlinBook
from rail.marlin.protocol import HALTED
from rail.ports import open_port
from rail.profiles import RailProfile, load_profile


def open_axis(
    url: str,
    profile: RailProfile | str | None = None,
    *,
    baud: int | None = None,
    programs: Sequence[str] = PROGRAMS,
) -> GrblAxis:
    """Open the rail at `url` (``/dev/ttyUSB0``, ``socket://host:port``, ...), stopping what still moves there.

    Parameters
    ----------
    url : str
        A pyserial URL.
    profile : RailProfile, str or None
        A profile, the name of one or the path of its TOML file; None: the default one.
    baud : int or None
        Of a real serial port; None: as the profile says.
    programs : sequence of str
        How the caller's own processes are known where one holds the port (`rail.holders.holders`).

    Raises
    ------
    rail.errors.RailError
    """
    if not isinstance(profile, RailProfile):
        profile = load_profile(profile)
    link = Link(open_port(url, baud=baud or profile.baud, programs=programs))
    link.on_halt = lambda: remember_halt(url)
    try:
        axis = GrblAxis.connect(link, profile)
    except RailTimeoutError as error:
        if link.heard or not was_halted(url):  # reset since then, and something else is wrong
            raise
        raise MarlinBook().alarmed(HALTED, doing="it still answers nothing") from error
    forget_halt(url)
    return axis


def describe_settings(axis: GrblAxis) -> dict[str, dict[str, Any]]:
    """The controller's settings by its own names: ``"$100"`` to ``{"value": 400.0, "meaning": "X: steps/mm"}``.

    Raises
    ------
    rail.errors.RailError
    """
    dialect = axis.identity.dialect
    named = {
        axis.setting_name(number): {"value": value / per(number, dialect), "meaning": meaning(number, dialect)}
        for number, value in sorted(axis.settings().items())
    }
    if dialect != "marlin":
        return named
    return {name: entry for name, entry in named.items() if not name.startswith("$")}  # the rest has no command there


def examine(axis: GrblAxis) -> list[dict[str, str]]:
    """What is wrong with the controller's set-up, worst first.

    Each finding has ``key``, ``severity`` (``wrong``, ``warning``, ``note``), ``message`` and ``remedy``.

    Raises
    ------
    rail.errors.RailError
    """
    found = axis.diagnose()
    return [{"key": f.key, "severity": f.severity.value, "message": f.message, "remedy": f.remedy} for f in found]


def compare(axis: GrblAxis) -> list[Change]:
    """What of the controller's settings the profile would change; `GrblAxis.write` writes it.

    Raises
    ------
    rail.errors.RailError
    """
    return axis.changes()
