"""A simulated GRBL 1.1h controller that moves a simulated carriage, on a TCP port that pyserial opens.

`SimulatedRail` is the whole rail; `GrblController` the controller alone, without threads or I/O.
"""

from rail.simulator.clock import Clock, DeviceClock, ManualClock
from rail.simulator.controller import GrblController
from rail.simulator.options import CarriageSample, RailOptions
from rail.simulator.rail import SimulatedRail

__all__ = ["CarriageSample", "Clock", "DeviceClock", "GrblController", "ManualClock", "RailOptions", "SimulatedRail"]
