"""A host's end of the wire to a simulated controller, in device time only."""

from __future__ import annotations

import math
import re

from rail.simulator.controller import ONE_AXIS_HOMING, STOCK_HOMING, GrblController
from rail.simulator.core import EEPROM_BYTE_S
from rail.simulator.eeprom import Eeprom
from rail.simulator.slide import Slide, SlideSpec

ANSWER = re.compile(r"ok|error:\d+")


class Host:
    """Sends lines, lets time pass, collects what comes.

    The motors stay powered ($1=255). X has 250 steps/mm, a switch 20 mm below the start and hard stops at 20.5 mm;
    Y and Z move freely.
    """

    def __init__(
        self,
        settings: dict[int, float] | None = None,
        *,
        one_axis: bool = True,
        backlash_um: float = 0.0,
        microsteps: int = 16,
        eeprom_byte_s: float = EEPROM_BYTE_S,
    ) -> None:
        self.eeprom = Eeprom()
        self.eeprom.settings.update({1: 255.0, **(settings or {})})
        spec = SlideSpec(4.0, backlash_um, -20_500.0, 20_500.0, switch_um=-20_000.0, microsteps=microsteps)
        self.x = Slide(spec, slack=0.0)
        self.grbl = GrblController(
            self.eeprom,
            (self.x, Slide(SlideSpec(4.0)), Slide(SlideSpec(4.0))),
            homing_cycles=ONE_AXIS_HOMING if one_axis else STOCK_HOMING,
            eeprom_byte_s=eeprom_byte_s,
        )
        self.heard = ""
        self.settle()
        self.take()

    @property
    def now(self) -> float:
        return self.grbl.core.now

    @property
    def mm(self) -> float:
        """Machine position of X."""
        return self.grbl.core.machine_position()[0]

    def write(self, text: str | bytes) -> None:
        self.grbl.receive(text if isinstance(text, bytes) else text.encode("latin-1"))

    def run(self, seconds: float) -> list[str]:
        """Let time pass; the lines that came in it."""
        self.grbl.advance(self.now + seconds)
        return self.take()

    def take(self) -> list[str]:
        self.heard += self.grbl.take_output().decode("latin-1")
        *lines, self.heard = self.heard.split("\r\n")
        return lines

    def settle(self) -> None:
        """Until nothing happens by itself any more."""
        while not math.isinf(due := self.grbl.next_event_s()):
            self.grbl.advance(due)

    def ask(self, line: str, *, within_s: float = 120.0) -> list[str]:
        """Send a line and wait for its ``ok`` or ``error``; every line that came, that one last."""
        self.write(line + "\n")
        lines: list[str] = []
        end = self.now + within_s
        while not (lines and ANSWER.fullmatch(lines[-1])):
            due = self.grbl.next_event_s()
            assert due <= end, f"no answer to {line!r}; heard {lines}"
            self.grbl.advance(due)
            lines += self.take()
        return lines

    def do(self, *commands: str) -> None:
        """Lines that must succeed, each waited for."""
        for command in commands:
            assert self.ask(command)[-1] == "ok", command

    def report(self) -> str:
        """Ask for a status report."""
        self.write("?")
        lines = self.run(0.02) or self.run(0.3)
        assert lines, "no report"
        return lines[-1]

    def state(self) -> str:
        """The state in a status report."""
        return self.report()[1:].split("|")[0]
