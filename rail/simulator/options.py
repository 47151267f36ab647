"""What a simulated rail is made of, and how its controller, carriage and memory are put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rail.mark import DIGITS, Mark, encode_mark
from rail.simulator.controller import ONE_AXIS_HOMING, STOCK_HOMING, GrblController
from rail.simulator.core import Firmware
from rail.simulator.dialects import FLUIDNC, GRBL, GRBLHAL, X_ALONE
from rail.simulator.eeprom import STOCK_SETTINGS, Eeprom
from rail.simulator.marlin import MARLIN
from rail.simulator.single import single, to_steps
from rail.simulator.slide import Slide, SlideSpec
from rail.simulator.states import State

FIRMWARES: Mapping[str, Firmware] = {"grbl": GRBL, "grblhal": GRBLHAL, "fluidnc": FLUIDNC, "marlin": MARLIN}

SWITCH_FROM_STOP_UM = 500.0
"""The limit switch closes this far before the hard stop."""


@dataclass(frozen=True, slots=True)
class CarriageSample:
    """Where the carriage truly is.

    Attributes
    ----------
    position_um : float
        True position in the bench's own coordinate, 0 in the middle of the travel; grows towards the subject.
    rest_s : float
        Device seconds since the carriage last moved (0 while it moves, infinity if it never did).
    moving : bool
    """

    position_um: float
    rest_s: float
    moving: bool


@dataclass(frozen=True, slots=True)
class RailOptions:
    """A rail: mechanics, controller, and the port it is reached at.

    Attributes
    ----------
    backlash_um : float
        Play of the screw's nut.
    start_um : float
        Where the carriage stands at first, in the bench's coordinate (0 is the middle of the travel).
    travel_um : float
        Between the hard stops.
    switches : bool
        A limit switch at the negative end, away from the subject, with homing and hard limits switched on.
    homed : bool
        Start as a rail that has been homed: switches, state Idle, and in the controller's RAM the mark of a homed origin.
    reset_on_open : bool
        Opening the port resets the controller, as an Uno's DTR does; else it notices nothing.
    steps_per_mm, max_rate_mm_min, acceleration_mm_s2 : float
        Of the motor and screw, and the controller's settings for them.
    one_axis_homing : bool or None
        ``$H`` homes X alone (a build for rails), or as stock GRBL Z first. None: alone where there are switches.
    stock : bool
        GRBL's generic defaults instead of a rail's.
    settings : mapping of int to float
        Settings that differ, by number.
    boot_s : float
        Silence of the boot loader after a reset by opening, device seconds.
    dialect : str
        Kind of controller: one of `FIRMWARES`.
    port : int
        TCP port; 0 takes a free one.
    host : str
    """

    backlash_um: float = 0.0
    start_um: float = 0.0
    travel_um: float = 40_000.0
    switches: bool = False
    homed: bool = False
    reset_on_open: bool = False
    steps_per_mm: float = 1600.0
    max_rate_mm_min: float = 600.0
    acceleration_mm_s2: float = 100.0
    one_axis_homing: bool | None = None
    stock: bool = False
    settings: Mapping[int, float] = field(default_factory=dict)
    boot_s: float = 1.6
    dialect: str = "grbl"
    port: int = 0
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if not self.travel_um > 4 * SWITCH_FROM_STOP_UM:
            raise ValueError(
                f"a travel of {self.travel_um} um leaves no room; give more than {4 * SWITCH_FROM_STOP_UM:g}"
            )
        if abs(self.start_um) > self.travel_um / 2:
            raise ValueError(
                f"the start {self.start_um} um lies outside the travel of {self.travel_um / 2:g} um each way"
            )
        if not 0 <= self.backlash_um < self.travel_um / 4:
            raise ValueError(f"a backlash of {self.backlash_um} um is not possible on this rail")
        if min(self.steps_per_mm, self.max_rate_mm_min, self.acceleration_mm_s2) <= 0:
            raise ValueError("steps per mm, rate and acceleration must be above 0")
        if self.dialect not in FIRMWARES:
            raise ValueError(f"no controller {self.dialect!r} is simulated; there are {', '.join(FIRMWARES)}")
        if unknown := sorted(set(self.settings) - set(STOCK_SETTINGS)):
            raise ValueError(f"GRBL has no setting {', '.join(f'${number}' for number in unknown)}")

    @property
    def has_switches(self) -> bool:
        """A homed rail has them, too."""
        return self.switches or self.homed

    @property
    def switch_um(self) -> float:
        """Where the limit switch closes."""
        return -self.travel_um / 2 + SWITCH_FROM_STOP_UM

    def defaults(self) -> dict[int, float]:
        """The controller's settings from the factory."""
        if self.stock:
            return {**STOCK_SETTINGS, **self.settings}
        rail = {1: 255.0, 100: self.steps_per_mm, 110: self.max_rate_mm_min, 120: self.acceleration_mm_s2}
        # Travel as the controller may use it: up to the stop, less the same room that the switch leaves.
        rail[130] = math.floor((self.travel_um - 2 * SWITCH_FROM_STOP_UM) / 1000)
        if self.has_switches:
            rail |= {21: 1.0, 22: 1.0, 23: 1.0, 24: 60.0, 25: self.max_rate_mm_min, 26: 50.0, 27: 1.0}
        elif self.dialect == "grblhal":
            rail[5] = 1.0  # nothing is wired to inputs that are normally closed
        if self.dialect == "marlin":
            rail[21] = 0.0  # its switches count while homing only
            rail[130] -= rail.get(27, 0.0)  # and its travel begins where homing ends
        return {**STOCK_SETTINGS, **rail, **self.settings}

    def slide(self, carriage_um: float, slack: float) -> Slide:
        """The rail's mechanics."""
        half = self.travel_um / 2
        switch = self.switch_um if self.has_switches else None
        spec = SlideSpec(1000 / self.steps_per_mm, self.backlash_um, -half, half, switch_um=switch)
        return Slide(spec, carriage_um, slack=slack)


def build(
    options: RailOptions, now_s: float, state: Mapping[str, Any] | None = None, *, powered: bool = False
) -> GrblController:
    """Put a rail together.

    Parameters
    ----------
    state : mapping, optional
        What `snapshot` gave: the carriage stands where it stood, the EEPROM holds what it held.
    powered : bool
        The controller was not switched off meanwhile: its count and origin live on, too.

    Raises
    ------
    ValueError
        `state` is not of that form.
    """
    defaults = options.defaults()
    eeprom = Eeprom.compiled(defaults)
    carriage_um, slack = options.start_um, 0.0
    memory: Mapping[str, Any] | None = None
    if state is not None:
        try:
            carriage_um, slack = float(state["carriage_um"]), float(state["slack"])
            eeprom.load_json(state["eeprom"])
            memory = dict(state["memory"]) if powered else None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the saved state of a simulated rail: {error!r}") from error
    free = SlideSpec(1000 / 250)
    if options.dialect == "grblhal" and options.has_switches and options.one_axis_homing is not False:
        eeprom.extra = {**X_ALONE, **eeprom.extra}
    alone = options.has_switches if options.one_axis_homing is None else options.one_axis_homing
    warm = memory is not None or (options.homed and state is None)
    controller = GrblController(
        eeprom,
        (options.slide(carriage_um, slack), Slide(free), Slide(free)),
        homing_cycles=ONE_AXIS_HOMING if alone else STOCK_HOMING,
        now_s=now_s,
        running=warm,
        firmware=FIRMWARES[options.dialect],
    )
    if memory is not None:
        _remember(controller, memory)
    elif warm:
        _mark_homed(controller, options)
    return controller


def snapshot(controller: GrblController) -> dict[str, Any]:
    """Everything that outlives this process, as plain JSON values."""
    core = controller.core
    slide = core.slides[0]
    return {
        "carriage_um": slide.carriage_um,
        "slack": slide.slack,
        "eeprom": core.eeprom.to_json(),
        "memory": {
            "counters": list(core.counters()),
            "offset": list(core.parser.offset),
            "tool_offset": core.parser.tool_offset,
            "locked": core.state is State.ALARM,
        },
    }


def _remember(controller: GrblController, memory: Mapping[str, Any]) -> None:
    core = controller.core
    try:
        x, y, z = (int(steps) for steps in memory["counters"])
        a, b, c = (single(float(mm)) for mm in memory["offset"])
        tool_offset = float(memory.get("tool_offset", 0.0))
        locked = bool(memory["locked"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the saved memory of a simulated controller: {error!r}") from error
    core.stepper.counters = [x, y, z]
    core.parser.offset = (a, b, c)
    core.parser.tool_offset = single(tool_offset)
    core.parser.system = core.eeprom.coordinates["G54"]
    core.state = State.ALARM if locked else State.IDLE


def _mark_homed(controller: GrblController, options: RailOptions) -> None:
    """As if ``$H`` had been run and the host had then named the place 0 and driven to the start."""
    core = controller.core
    settings = core.eeprom.settings
    marlin, fluidnc = options.dialect == "marlin", options.dialect == "fluidnc"
    pulloff_um = settings[27] * 1000
    home_mm = 0.0 if marlin or fluidnc else -settings[130] + settings[27]
    # Backing off takes up the play first.
    home_um = options.switch_um + pulloff_um - options.backlash_um
    away_mm = (core.slides[0].carriage_um - home_um) / 1000
    x = to_steps((home_mm + away_mm) * settings[100])
    core.stepper.counters = [x, 0, 0]
    origin = to_steps(home_mm * settings[100])
    mark = encode_mark(Mark(homed=True, digits=None if marlin else x % DIGITS), settings[100], origin)
    if marlin:  # the workspace's shift, and the origin's step (0) in Y
        core.parser.offset = (0.0, 0.0, single(mark))
    elif options.dialect == "grblhal":
        core.parser.offset = (single(home_mm), 0.0, 0.0)
        core.parser.tool_offset = single(-mark)
    else:
        core.parser.offset = (single(home_mm), 0.0, single(-mark))
    core.parser.system = core.eeprom.coordinates["G54"]
