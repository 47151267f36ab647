"""The axis: GRBL controllers over serial, profiles and the simulated controller. Imports neither capture nor stacking.

`rail.opening.open_axis` opens one; `rail.ports.list_serial_ports` says which there are.
"""

from rail.axis import Axis, AxisCapabilities, AxisState, AxisStatus, AxisUnit
from rail.errors import RailError

__all__ = ["Axis", "AxisCapabilities", "AxisState", "AxisStatus", "AxisUnit", "RailError"]
