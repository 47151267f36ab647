"""``rail calibrate steps --spacing``: the camera reads the ruler."""

from __future__ import annotations

from capture.app.opening import DeviceNames, Origin, looking_devices
from capture.app.output import say
from capture.errors import UsageError
from capture.focus.axis_view import AxisView
from capture.focus.handed import HandedAxis
from capture.focus.ruled_travel import measure_travel
from capture.settings import Settings
from rail.grbl.axis import GrblAxis


def lengths_seen(
    settings: Settings, names: DeviceNames, distance_um: float, spacing_um: float, readings: int
) -> tuple[list[float], float, str]:
    """What a ruled target says of a commanded distance, reading by reading, um; the rail's steps/mm so far, and its profile's name. The
    carriage is back where it stood.

    Raises
    ------
    UsageError, FocusError, CameraError, rail.errors.RailError
    """
    found = []
    with looking_devices(settings, names, Origin.KEEP, {}, positioned=False) as (axis, camera):
        if not isinstance(axis, GrblAxis):
            raise UsageError(
                "a lens keeps no profile that steps/mm could be written into", remedy="Give --rail the port of a rail."
            )
        take_up = axis.profile.take_up_um + 100
        with camera.live() as frames:
            for number in range(1, readings + 1):
                say(f"reading {number} of {readings}: {distance_um / 1000:g} mm")
                handed = HandedAxis(axis, take_up, abs(distance_um) + 2 * take_up)
                found.append(measure_travel(AxisView(handed, frames), spacing_um, abs(distance_um), say=say))
                handed.move_to(0.0)
        return found, 1000.0 / axis.capabilities.resolution, axis.profile.name
