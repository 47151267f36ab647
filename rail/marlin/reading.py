"""What a Marlin board can be asked: who it is, its settings, where it stands, and the origin that is kept in it.

Positions are step counts: a bare ``G92`` changes nothing and tells those of the motors, ``M114`` those at the end of the plan.
The origin is kept as GRBL's is, in the volatile G92 offset: X the origin, Y its step in hundredths (a report has
two decimals), Z the mark.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

from rail.errors import RailProtocolError, RailRefusedError
from rail.grbl.encode import millimetres, setting
from rail.grbl.identity import Identity, unknown_controller
from rail.grbl.link import LINE_S, REPORT_S, Link
from rail.grbl.protocol import Message, Status
from rail.grbl.reading import PRESSED
from rail.grbl.settings import MARLIN_PER
from rail.marlin import protocol
from rail.marlin.link import MarlinLink
from rail.marlin.protocol import Echo, Endstop, Position

_log = logging.getLogger(__name__)

OUTPUTS_OFF = "M9"

BUSY_PLACE_S = 2.5  # where it may be busy with what a program that is gone has begun: it says so every 2 s
_STORE_S = 3.0
_HUNDREDTHS = 0.01
_HOMING = {24: 120.0, 25: 300.0}  # no command tells Marlin's homing speeds; slow ones, for deadlines


class MarlinReading:
    """The part of `rail.marlin.controller.MarlinController` that moves nothing."""

    def __init__(self, link: MarlinLink, *, reset_on_open: bool) -> None:
        self.link: Link = link
        self._marlin = link
        self.inches = False
        self.reset_on_open = reset_on_open
        self.outputs_on = False  # nothing tells; they are switched off on opening
        self._scale: tuple[float, float, float] | None = None
        self._settings: dict[int, float] = {}
        self._offset: tuple[float, ...] | None = None
        self._homing = False
        self._ours = False
        self._emergency = False
        self._keeps_alive = False  # it says every 2 s that it is busy
        self._soft_limits = False
        self.feed_override = 1.0
        self.speed_mm_min = 0.0  # nothing tells

    # Who and what --------------------------------------------------------------------------------------------------

    def identify(self) -> Identity:
        """Ask M115."""
        said = self._marlin.say(protocol.ASK_NAME, 2 * LINE_S)
        names = [reply.body for reply in said if isinstance(reply, Message) and reply.tag == "FIRMWARE_NAME"]
        if not names or not names[0].startswith("Marlin"):
            raise unknown_controller(names[0] if names else "nothing to M115")
        able = {reply.body for reply in said if isinstance(reply, Message) and reply.tag == "Cap"}
        self._emergency = "EMERGENCY_PARSER:1" in able
        # Absolute targets; the motors stay on, whatever the idle time; no override.
        for line in ("G90", "M84 S0"):
            self._marlin.say(line)
        self._knows("M220 S100")
        self._keeps_alive = self._knows("M113 S2")
        self.let_go(OUTPUTS_OFF, LINE_S)
        # What M503 shows is rounded to two decimals; from now on the controller reckons with that. But M92 counts steps as made that
        # were too few for Marlin to make: never under an origin, before which it was said.
        steps = self.settings()[100]
        if not self._place("G92").work_mm[2]:
            self._marlin.say(f"M92 X{steps:.2f}")
        options = "EMERGENCY_PARSER" if self._emergency else ""
        return Identity(names[0].split(" SOURCE_CODE_URL")[0], options, "marlin", "Marlin", homes_alone=True)

    def _knows(self, line: str) -> bool:
        """Say `line`, which not every build has a command for; has this one?"""
        try:
            self._marlin.say(line)
        except RailRefusedError as error:
            _log.debug("%s", error.message)
            return False
        return True

    def settings(self) -> dict[int, float]:
        """Settings under GRBL's numbers, from M503, M211 and M119."""
        said = self._twice("M503", _STORE_S)
        found: dict[int, float] = {**_HOMING}
        values = dict(filter(None, (protocol.words(reply) for reply in said)))
        steps, rates, accelerations = (values.get(code, {}) for code in ("M92", "M203", "M201"))
        for base, table in ((100, steps), (110, rates), (120, accelerations)):
            for axis, letter in enumerate("XYZ"):
                if letter in table:
                    found[base + axis] = table[letter] * MARLIN_PER[base]
        travel_acceleration = values.get("M204", {}).get("T", math.inf)
        if 120 in found:
            found[120] = min(found[120], travel_acceleration)
        self._scale = tuple(found.get(100 + axis, 0.0) for axis in range(3))  # type: ignore[assignment]
        ends = [reply for reply in self._marlin.say("M119", 2 * LINE_S) if isinstance(reply, Endstop)]
        at_x = [end for end in ends if end.name.startswith("x_")]
        found[22] = float(bool(at_x))
        found[23] = float(not any(end.name == "x_max" for end in at_x))
        found[27] = 0.0
        limits = [reply.text for reply in self._marlin.say("M211", 2 * LINE_S) if isinstance(reply, Echo)]
        self._soft_limits = "M211 S1" in " ".join(limits)
        reach = protocol.travel(" ".join(limits))
        if reach is not None:
            found[130] = reach[1] - reach[0]
        self._settings = found
        return dict(found)

    def write_setting(self, number: int, value: float) -> None:
        """Set steps/mm, highest rate or acceleration, in Marlin's unit."""
        if number not in MARLIN_PER:
            raise RailProtocolError(
                f"Marlin has no command for {self.setting_name(number)}.",
                remedy="It is fixed when Marlin is built: Configuration.h.",
                state="At rest; nothing was written.",
            )
        self._marlin.say(f"{self.setting_name(number)}{setting(value)}")
        if number == 120:
            self._marlin.say(f"M204 T{setting(value)}")
        self._scale = None

    def store_settings(self) -> str:
        """M500."""
        said = [reply.text for reply in self._marlin.say("M500", _STORE_S) if isinstance(reply, Echo)]
        if any("Settings Stored" in text for text in said):
            return ""
        return "This Marlin has no settings memory (EEPROM_SETTINGS): what was written lasts until it restarts."

    def setting_name(self, number: int) -> str:
        """Marlin's command for it."""
        names = {
            1: "M84 S",
            100: "M92 X",
            110: "M203 X",
            120: "M201 X",
            130: "X_MAX_POS",
            22: "USE_XMIN_PLUG",
            23: "X_HOME_DIR",
        }
        return names.get(number, f"${number}")

    def startup_lines(self) -> Mapping[int, str]:
        """Marlin keeps none that it would tell of."""
        return {}

    def report_mm(self, settings: Mapping[int, float]) -> float:
        """Reports count steps: half of one."""
        return 0.5 / settings[100]

    def let_go(self, word: str, limit_s: float) -> None:
        """Switch outputs off; a build without them (COOLANT_CONTROL) has none on.

        Raises
        ------
        RailAlarmError
            It has halted itself, and hears nothing.
        """
        if self.link.alarm == protocol.HALTED:
            state = f"Nothing moves; the position is lost. {PRESSED}"
            raise self._marlin.book.alarmed(protocol.HALTED, state=state)
        self.outputs_on = True
        if self.link.silent:  # and said so already
            return
        try:
            self._marlin.say(word, limit_s)
        except RailRefusedError as error:
            _log.debug("no outputs: %s", error.message)
        self.outputs_on = False

    # Where -----------------------------------------------------------------------------------------------------------

    def switch_closed(self) -> bool:
        """M119."""
        ends = [reply for reply in self._marlin.say("M119", 2 * LINE_S) if isinstance(reply, Endstop)]
        return any(end.pressed for end in ends if end.name.startswith("x"))

    def report(self, limit_s: float = REPORT_S) -> Status:
        """Where it is, and whether it moves: the end of the plan differs from where the motors are."""
        planned, now = self._place("M114", limit_s), self._place("G92", limit_s)
        if planned.counts != now.counts:
            return self._status("Run", now)
        self._offset = self._offset_at(now)  # a restart that nobody heard of has taken the mark away
        return self._status("Idle", now)

    def answers(self) -> bool:
        """What it was sent of a move has ended by itself."""
        return False

    def rest_report(self, *, need_offset: bool = False) -> Status:  # noqa: ARG002
        """A report at rest, confirmed by a second one."""
        last = self.report()
        for _ in range(4):
            status = self.report()
            if status.state != "Idle":
                break
            if status.mpos == last.mpos:
                return status
            last = status
        raise RailProtocolError(
            "The controller's reports at rest do not agree with each other.",
            remedy="Check the cable and the earthing: bytes are damaged on the way.",
            state="Not known.",
        )

    def machine(self, status: Status) -> tuple[float, ...]:
        """Machine position, mm."""
        assert status.mpos is not None
        return status.mpos

    def machine_seen(self, status: Status) -> tuple[float, ...] | None:
        """The same."""
        return status.mpos

    def work_offset_seen(self) -> tuple[float, ...] | None:
        """The offset read or written last."""
        return self._offset

    def offset(self) -> tuple[float, ...]:
        """Machine position minus work position; X is exact to the step where the origin's mark is whole."""
        first, place = self._place("G92"), self._place("G92")
        if first != place:
            raise RailProtocolError(
                "The controller's positions at rest do not agree with each other.",
                remedy="Check the cable.",
                state="Not known.",
            )
        self._offset = self._offset_at(place)
        return self._offset

    def _offset_at(self, place: Position) -> tuple[float, ...]:
        """The offset that a report at rest shows; without a whole mark its Z leaves none, and its X is good to 0.01 mm."""
        scale = self._axes()
        machine = [count / steps if steps else 0.0 for count, steps in zip(place.counts, scale, strict=True)]
        origin = round(place.work_mm[1] / _HUNDREDTHS)
        x = machine[0] - origin / scale[0]
        z = machine[2] - place.work_mm[2]
        if abs(x - place.work_mm[0]) > _HUNDREDTHS or not place.work_mm[2]:
            x, z = place.work_mm[0], machine[2]
        return (machine[0] - x, machine[1] - place.work_mm[1], z)

    def set_offset(self, work_x_mm: float | None, work_z_mm: float, work_y_mm: float = 0.0) -> float:
        """Write the volatile origin with its mark, and read it again; its name is its step, which Y keeps here."""
        self._offset = None
        scale = self._axes()
        if work_x_mm is None:
            self._marlin.say(f"G92 Z{work_z_mm:.2f}")
            return work_y_mm
        self._marlin.say(
            "M17"
        )  # after a start the motor is off, and its rotor up to half a full step from what is counted
        before = self._place("G92")
        origin = before.counts[0] - round(work_x_mm * scale[0])
        if abs(origin * _HUNDREDTHS) >= 10_000:
            raise RailProtocolError(
                f"The origin is {abs(origin)} steps away from the controller's own zero, farther than Marlin can keep it.",
                remedy="Switch the controller off and on where the carriage stands, then zero it again.",
                state="At rest.",
            )
        self._marlin.say(f"G92 X{millimetres(work_x_mm)} Y{origin * _HUNDREDTHS:.2f} Z{work_z_mm:.2f}")
        after = self._place("G92")
        if after.counts != before.counts:
            raise RailProtocolError(
                "This Marlin was built with NO_WORKSPACE_OFFSETS: an origin cannot be kept in it.",
                remedy="Build it without that option.",
                state="At rest; the position is unknown.",
            )
        self.offset()
        return origin * _HUNDREDTHS

    def forget_origin(self) -> None:
        """Work position = machine position, and no mark."""
        self._offset = None
        place = self._place("G92")
        scale = self._axes()
        self._marlin.say(f"G92 X{millimetres(place.counts[0] / scale[0])} Y0 Z0")

    def _place(self, line: str, limit_s: float = REPORT_S) -> Position:
        said = [reply for reply in self._marlin.say(line, limit_s) if isinstance(reply, Position)]
        if not said:
            raise RailProtocolError(
                f"The controller does not say where it is ({line}).",
                remedy="focusrail needs Marlin 2.0 or later. Check the cable if it worked before.",
                state="Not known.",
            )
        return said[-1]

    def _status(self, state: str, place: Position) -> Status:
        return Status(state, mpos=tuple(c / s if s else 0.0 for c, s in zip(place.counts, self._axes(), strict=True)))

    def _axes(self) -> tuple[float, float, float]:
        if self._scale is None:
            self.settings()
        assert self._scale is not None
        if self._scale[0] <= 0:
            raise RailProtocolError(
                "The controller does not say its steps/mm (M503).",
                remedy="focusrail needs Marlin without DISABLE_M503.",
                state="At rest.",
            )
        return self._scale

    def _shift(self) -> float:
        """Machine minus work position of X, mm, known exactly: where there is no mark it is made zero."""
        offset = self._offset or self.offset()
        if offset[2] == self._status("Idle", self._place("G92")).mpos[2]:  # type: ignore[index]
            self.forget_origin()
            return 0.0
        return offset[0]

    def _twice(self, line: str, limit_s: float) -> list[str]:
        last: list[str] = []
        for _ in range(5):
            said = [reply.text for reply in self._marlin.say(line, limit_s) if isinstance(reply, Echo)]
            if said and said == last:
                return said
            last = said
        raise RailProtocolError(
            f"The controller's answers to {line} do not agree with each other.",
            remedy="Check the cable and the earthing: bytes are damaged on the way.",
            state="At rest.",
        )

    def _pause(self, seconds: float, on_slice: Callable[[], None] = lambda: None) -> None:
        link = self._marlin
        deadline = link.now() + seconds
        while link.receive(min(deadline, link.now() + 0.02)) is not None or link.now() < deadline:
            on_slice()
            if link.reset_seen:
                link.reset_seen = False
                raise link.reset_error()
            if link.alarm is not None:
                raise link.book.alarmed(link.alarm)
