"""What the simulated Marlin answers, and the settings it is told: what moves nothing."""

from __future__ import annotations

from collections.abc import Callable

from rail.simulator.core import Core, Task
from rail.simulator.single import single, to_steps

AXES = "XYZ"


class MarlinTalk:
    """The part of the simulated Marlin that moves nothing.

    The workspace offset is kept in `core.parser.offset` (logical = native + offset).
    """

    def __init__(self, core: Core, *, emergency_parser: bool) -> None:
        self.core = core
        self.emergency_parser = emergency_parser
        self.soft_endstops = True
        self.relative = False

    def tell(self, counts: tuple[int, ...]) -> Task[None]:
        """Logical place and steps."""
        core = self.core
        logical = [place + offset for place, offset in zip(core.parser.position, core.parser.offset, strict=True)]
        text = " ".join(f"{letter}:{mm:.2f}" for letter, mm in zip(AXES, logical, strict=True))
        steps = " ".join(f"{letter}:{count}" for letter, count in zip(AXES, counts, strict=True))
        yield from core.send(f"{text} E:0.00 Count {steps}\n")

    def tell_plan(self, *_: object) -> Task[None]:
        """M114: the end of the plan."""
        yield from self.tell(tuple(self.core.planner.position))

    def tell_name(self, *_: object) -> Task[None]:
        """M115."""
        parser = int(self.emergency_parser)
        yield from self.core.send(
            "FIRMWARE_NAME:Marlin 2.1.2.1 (May 16 2023 12:00:00) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 "
            "MACHINE_TYPE:Simulated rail EXTRUDER_COUNT:0 UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff\n"
            f"Cap:SERIAL_XON_XOFF:0\nCap:EEPROM:1\nCap:AUTOREPORT_POS:0\nCap:EMERGENCY_PARSER:{parser}\nCap:ARCS:0\n"
        )

    def tell_endstops(self, *_: object) -> Task[None]:
        """M119: only what the build has."""
        core, text = self.core, "Reporting endstop status\n"
        if core.slides[0].spec.switch_um is not None:
            end = "x_min" if core.eeprom.mask(23, 0) else "x_max"
            text += f"{end}: {'TRIGGERED' if core.limits() & 1 else 'open'}\n"
        yield from core.send(text)

    def tell_limits(self, words: dict[str, float], _: str) -> Task[None]:
        """M211."""
        core = self.core
        if "S" in words:
            self.soft_endstops = bool(words["S"])
        low = core.parser.offset[0]
        yield from core.send(
            f"echo:  M211 S{int(self.soft_endstops)} ; {'ON' if self.soft_endstops else 'OFF'}\n"
            f"  Min:  X{low:.2f} Y0.00 Z0.00   Max:  X{low + core.eeprom.axis(130, 0):.2f} Y200.00 Z200.00\n"
        )

    def tell_settings(self, *_: object) -> Task[None]:
        """M503."""
        settings = self.core.eeprom.settings

        def row(code: str, base: int, factor: float = 1.0) -> str:
            axes = " ".join(f"{letter}{settings[base + axis] * factor:.2f}" for axis, letter in enumerate(AXES))
            return f"echo:  {code} {axes}\n"

        yield from self.core.send(
            "echo:; Linear Units:\necho:  G21 ; (mm)\necho:; Steps per unit:\n" + row("M92", 100)
            + "echo:; Max feedrates (units/s):\n" + row("M203", 110, 1 / 60)
            + "echo:; Max Acceleration (units/s2):\n" + row("M201", 120)
            + "echo:; Acceleration (units/s2) (P<print-accel> R<retract-accel> T<travel-accel>):\n"
            + f"echo:  M204 P{settings[120]:.2f} R{settings[120]:.2f} T{settings[120]:.2f}\n"
            + "echo:; Advanced (B<min_segment_time_us> S<min_feedrate> T<min_travel_feedrate> J<junc_dev>):\n"
            + "echo:  M205 B20000.00 S0.00 T0.00 J0.01\necho:; Home offset:\necho:  M206 X0.00 Y0.00 Z0.00\n"
        )  # fmt: skip

    def echo(self, _: dict[str, float], rest: str) -> Task[None]:
        """M118."""
        yield from self.core.send(rest + "\n")

    def store(self, *_: object) -> Task[None]:
        """M500."""
        self.core.eeprom.saved = dict(self.core.eeprom.settings)
        yield from self.core.send("echo:Settings Stored (650 bytes; crc 27182)\n")

    def steps(self, words: dict[str, float], rest: str) -> Task[None]:
        """M92: the count is made anew from the place."""
        core = self.core
        yield from self.setting(100, 1.0)(words, rest)
        for axis, letter in enumerate(AXES):
            if letter in words:
                core.stepper.counters[axis] = to_steps(single(core.parser.position[axis] * core.eeprom.axis(100, axis)))
        core.planner.clear(core.counters())

    def setting(self, base: int, factor: float) -> Callable[[dict[str, float], str], Task[None]]:
        """A command that sets a value of each axis."""

        def act(words: dict[str, float], _: str) -> Task[None]:
            for axis, letter in enumerate(AXES):
                if letter in words:
                    self.core.eeprom.settings[base + axis] = single(words[letter] * factor)
            yield 0.0

        return act

    def absolute(self, *_: object) -> Task[None]:
        """G90."""
        self.relative = False
        yield 0.0

    def relative_mode(self, *_: object) -> Task[None]:
        """G91."""
        self.relative = True
        yield 0.0

    def nothing(self, *_: object) -> Task[None]:
        """Accepted, without a bearing on a rail."""
        yield 0.0
