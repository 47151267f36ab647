"""The axis: GRBL controllers over serial, profiles and the simulated controller. Imports neither capture nor stacking."""

from rail.axis import Axis, AxisCapabilities, AxisState, AxisStatus, AxisUnit
from rail.errors import RailError
from rail.ports import PortInfo, list_serial_ports, open_axis
from rail.profiles import RailProfile, load_profile, profile_names

__all__ = [
    "Axis",
    "AxisCapabilities",
    "AxisState",
    "AxisStatus",
    "AxisUnit",
    "PortInfo",
    "RailError",
    "RailProfile",
    "list_serial_ports",
    "load_profile",
    "open_axis",
    "profile_names",
]
