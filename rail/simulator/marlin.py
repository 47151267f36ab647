"""A simulated Marlin 2.1: its line protocol over the same planner, steppers and carriage.

After Marlin's sources (``gcode/queue.cpp``, ``gcode/geometry/G92.cpp``, ``gcode/host/M114.cpp``, ``module/planner.cpp``,
``module/endstops.cpp``, ``feature/e_parser.h``): numbers and checksums with requests to send again, ``ok`` when a move is in
the plan, an end of the plan that M114 tells and step counts that G92 tells, moves of fewer than six steps dropped, a
first move that waits 0.1 s for company, M410 that stops dead, motors that go off after two minutes, kill.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from rail.simulator import homing, motion, realtime
from rail.simulator.core import Core, Task
from rail.simulator.dialects import GrblFirmware
from rail.simulator.marlin_talk import AXES, MarlinTalk
from rail.simulator.planner import MoveRequest
from rail.simulator.single import single, to_steps
from rail.simulator.states import ALARM_HARD_LIMIT, ALARM_HOMING_RESET, Request, State

LEAST_STEPS = 6
FIRST_MOVE_S = 0.1
IDLE_S = 120.0
BUSY_S = 2.0
OVERSHOOT = 64
"""Microsteps that the rotor runs on when M410 stops it at speed."""

_LINE_MAX = 96
_PARSE_S = 0.0004
_LATCH_S = 0.005
_START = (
    "start", "echo: External Reset", "Marlin 2.1.2.1", "", "echo: Last Updated: 2023-05-16 | Author: (focusrail, simulated)",
    "echo:Compiled: May 16 2023", "echo: Free Memory: 3806  PlannerBufferBytes: 1488",
    "echo:V87 stored settings retrieved (650 bytes; crc 31415)",
)  # fmt: skip
_HALT = "Error:Printer halted. kill() called!\n"


class _QuickStopError(Exception):
    """M410 in the middle of a command."""


class MarlinFirmware(GrblFirmware):
    """Marlin 2.1 with settings memory, workspace offsets and, where wanted, the emergency parser."""

    key = "marlin"
    alarm_keeps_outputs = True
    announces_alarms = False

    def __init__(self, *, emergency_parser: bool = True, keepalive: bool = True) -> None:
        self.emergency_parser = emergency_parser
        self.keepalive = keepalive

    def main(self, core: Core) -> Task[None]:
        """From power-up."""
        eeprom = core.eeprom
        if eeprom.saved is None:
            eeprom.saved = dict(eeprom.settings)
        eeprom.settings.update(eeprom.saved)
        core.state = State.IDLE
        for text in _START:
            yield from core.send(text + "\n")
        yield from _Marlin(core, self).run()

    def resume(self, core: Core) -> Task[None]:
        """Go on."""
        core.state = State.IDLE
        core.planner.clear(core.counters())
        core.sync_parser()
        yield from _Marlin(core, self).run()

    def byte_in(self, core: Core, byte: int) -> bool:
        """Every byte goes into the line; the emergency parser reads along."""
        core.rx.store(byte)
        if self.emergency_parser:
            heard = core.eeprom.extra.get("ep", "")
            if byte == 0x0A:
                words = heard.split()
                if words and words[0][:1] == "N":
                    words = words[1:]
                word = words[0].partition("*")[0] if words else ""
                if word in ("M410", "M112"):
                    core.eeprom.extra["emergency"] = word
                core.eeprom.extra["ep"] = ""
            else:
                core.eeprom.extra["ep"] = (heard + chr(byte))[-40:]
        return True

    def power_off(self, core: Core) -> None:
        """Nothing outlives it."""
        core.eeprom.extra.clear()


class _Marlin(MarlinTalk):
    """The main program and its memory."""

    def __init__(self, core: Core, firmware: MarlinFirmware) -> None:
        super().__init__(core, emergency_parser=firmware.emergency_parser)
        self.last_number = 0
        self.feed = 1500.0
        self.homed = False
        self.idle_s = IDLE_S
        self.start_s: float | None = None
        self.commands: dict[str, Callable[[dict[str, float], str], Task[None]]] = {
            "G0": self.move, "G1": self.move, "G4": self.dwell, "G28": self.home, "G92": self.set_place, "M114": self.tell_plan,
            "M400": self.drain, "M410": self.quick_stop, "M112": self.kill, "M115": self.tell_name, "M118": self.echo,
            "M119": self.tell_endstops, "M211": self.tell_limits, "M503": self.tell_settings, "M500": self.store, "M84": self.motors,
            "M18": self.motors, "M92": self.steps, "M105": self.nothing, "M110": self.nothing, "M17": self.motors_on,
            "M108": self.nothing, "M113": self.nothing,
            "M220": self.nothing, "M999": self.nothing, "G21": self.nothing, "G90": self.absolute,
            "G91": self.relative_mode, "M8": self.output(on=True), "M9": self.output(on=False),
            "M201": self.setting(120, 1.0), "M203": self.setting(110, 60.0), "M204": self.nothing,
        }  # fmt: skip
        self.keepalive = firmware.keepalive
        if not self.keepalive:
            del self.commands["M113"]

    # Lines -------------------------------------------------------------------------------------------------------------

    def run(self) -> Task[None]:
        """For ever, or until it kills itself."""
        core, line = self.core, bytearray()
        while True:
            while core.rx.ring:
                byte = core.rx.ring.popleft()
                if byte not in (0x0A, 0x0D):
                    line.append(byte)
                    continue
                text, line = bytes(line[:_LINE_MAX]).decode("latin-1"), bytearray()
                try:
                    yield from self.take(text.partition(";")[0].strip())
                except _QuickStopError:
                    yield from self.stop_dead()
                    yield from core.send("ok\n")
            yield from self.idle()
            yield self.pause()

    def take(self, text: str) -> Task[None]:
        """One line: check number and sum, do it, say ok."""
        core = self.core
        if not text:
            return
        yield _PARSE_S
        if text.startswith("N"):
            trouble = self.check(text)
            if trouble:
                core.rx.ring.clear()
                yield from core.send(
                    f"Error:{trouble}, Last Line: {self.last_number}\nResend: {self.last_number + 1}\nok\n"
                )
                return
            text = text.rpartition("*")[0].partition(" ")[2].strip()
        command, _, rest = text.partition(" ")
        act = self.commands.get(command)
        if act is None:
            yield from core.send(f'echo:Unknown command: "{text}"\n')
        else:
            yield from act(self.words(rest), rest)
        if core.eeprom.extra.get("killed"):
            while True:
                core.rx.ring.clear()
                yield 1.0
        yield from core.send("ok\n")

    def check(self, text: str) -> str:
        """What is wrong with a numbered line; "" if nothing."""
        digits = text[1:].split(" ", 1)[0].partition("*")[0]
        number = int(digits) if digits.isdecimal() and len(digits) < 9 else -1
        renumber = " M110" in text
        if number != self.last_number + 1 and not renumber:
            return "Line Number is not Last Line Number+1"
        body, star, told = text.rpartition("*")
        if not star:
            return "No Checksum with line number"
        total = 0
        for byte in body.encode("latin-1"):
            total ^= byte
        leading = told[: len(told) - len(told.lstrip("0123456789"))]
        if not leading or int(leading) != total:
            return "checksum mismatch"
        self.last_number = number
        if renumber:
            self.last_number = int(self.words(body).get("N", number))
        return ""

    @staticmethod
    def words(text: str) -> dict[str, float]:
        """Letters and numbers."""
        found: dict[str, float] = {}
        for word in text.split():
            if word[0].isalpha():
                try:
                    found[word[0].upper()] = single(float(word[1:] or "0"))
                except ValueError:
                    continue
        return found

    # Time --------------------------------------------------------------------------------------------------------------

    def pause(self) -> float | None:
        """How long the main loop may sleep."""
        core = self.core
        if core.rx.ring or core.requests:
            return 0.0005
        if self.start_s is not None:
            return min(max(self.start_s - core.now, 0.0005), 0.002)
        return None

    def idle(self) -> Task[None]:
        """What Marlin does in every wait: feed the stepper, look at switches and at the emergency parser."""
        core = self.core
        if core.alarm:
            yield from self.trouble()
        word = core.eeprom.extra.pop("emergency", "")
        if word == "M112":
            yield from self.kill({}, "")
        if word == "M410":
            raise _QuickStopError
        if core.planner.blocks and core.state is State.IDLE:
            if self.start_s is None:
                self.start_s = core.now + FIRST_MOVE_S
            if core.now >= self.start_s or len(core.planner.blocks) >= 3:
                self.start_s = None
                motion.auto_start(core)
        was = core.state
        yield from realtime.execute_requests(core)
        if was is State.CYCLE and core.is_in(State.IDLE):
            core.motors_off_s = core.now + self.idle_s if self.idle_s else float("inf")

    def trouble(self) -> Task[None]:
        """A switch was hit, or the test bench wants a kill."""
        core, code = self.core, self.core.alarm
        place = core.machine_position()
        core.alarm = 0
        core.requests = Request.NONE
        core.abort = False
        core.motors_off_s = float("inf")
        self.rest()
        if code == ALARM_HARD_LIMIT:
            yield from core.send(f"echo:endstops hit:  X:{place[0]:.2f}\n")
        else:
            yield from self.kill({}, "")

    def rest(self) -> None:
        """Nothing is planned; the place is where the motors are."""
        core = self.core
        core.stepper.stop(core.now)
        core.stepper.reset()
        core.planner.clear(core.counters())
        core.sync_parser()
        core.state = State.IDLE
        self.start_s = None

    def waiting(self, task: Generator[float | None]) -> Task[None]:
        """Run `task`, saying every two seconds that it takes time."""
        core = self.core
        due = core.now + BUSY_S
        for pause in task:
            yield pause
            if self.keepalive and core.now >= due:
                due = core.now + BUSY_S
                yield from core.send("echo:busy: processing\n")

    def until_planned(self) -> Task[None]:
        """Until there is room in the plan."""
        while self.core.planner.full:
            yield from self.idle()
            yield 0.002

    def until_still(self) -> Task[None]:
        """Until the last step of the plan."""
        core = self.core
        while core.planner.blocks or core.state is State.CYCLE:
            yield from self.idle()
            yield 0.002

    # Motion ------------------------------------------------------------------------------------------------------------

    def move(self, words: dict[str, float], _: str) -> Task[None]:
        """G0, G1."""
        core = self.core
        self.feed = words.get("F", self.feed) or self.feed
        target = list(core.parser.position)
        for axis, letter in enumerate(AXES):
            if letter in words:
                native = words[letter] + (target[axis] if self.relative else -core.parser.offset[axis])
                target[axis] = single(native)
        if self.homed and self.soft_endstops:
            target[0] = min(max(target[0], 0.0), core.eeprom.axis(130, 0))
        yield from self.waiting(self.until_planned())
        ends = [to_steps(single(mm * core.eeprom.axis(100, axis))) for axis, mm in enumerate(target)]
        if max(abs(end - start) for end, start in zip(ends, core.planner.position, strict=True)) >= LEAST_STEPS:
            core.stepper.replan()
            core.planner.append(target, MoveRequest(self.feed))
            core.motors_off_s = float("inf")
        core.parser.position = (target[0], target[1], target[2])
        yield from self.idle()

    def dwell(self, words: dict[str, float], _: str) -> Task[None]:
        """G4."""
        yield from self.waiting(self.until_still())
        yield words.get("S", words.get("P", 0.0) / 1000)

    def drain(self, *_: object) -> Task[None]:
        """M400."""
        yield from self.waiting(self.until_still())

    def output(self, *, on: bool) -> Callable[[dict[str, float], str], Task[None]]:
        """M8 and M9 of a build with COOLANT_CONTROL and COOLANT_FLOOD: once nothing moves any more. (It has no M7.)"""

        def switch(*_: object) -> Task[None]:
            yield from self.waiting(self.until_still())
            self.core.set_flood(on=on)

        return switch

    def home(self, *_: object) -> Task[None]:
        """G28."""
        core = self.core
        yield from self.waiting(self.until_still())
        core.homing_cycles = ((0,),)
        core.state = State.HOMING
        core.motors_off_s = float("inf")
        yield from self.waiting(self.homing())
        core.parser.offset = (0.0, *core.parser.offset[1:])
        if core.aborted() or core.alarm:
            code, core.alarm, core.abort, core.requests = core.alarm, 0, False, Request.NONE
            self.rest()
            if code == ALARM_HOMING_RESET and core.eeprom.extra.pop("emergency", ""):
                raise _QuickStopError
            yield from core.send("Error:Homing Failed\n")
            yield from self.kill({}, "")
            return
        home_mm = 0.0 if core.eeprom.mask(23, 0) else core.eeprom.axis(130, 0)
        core.stepper.counters[0] = to_steps(single(home_mm * core.eeprom.axis(100, 0)))
        self.rest()
        self.homed = True
        yield from self.tell(core.counters())

    def homing(self) -> Task[None]:
        """GRBL's search, broken off by the emergency parser."""
        core = self.core
        for pause in homing.cycle(core):
            if core.eeprom.extra.get("emergency") and not core.alarm:
                core.reset_request()
            yield pause

    def quick_stop(self, *_: object) -> Task[None]:
        """M410."""
        self.core.eeprom.extra.pop("emergency", None)
        yield from self.stop_dead()

    def stop_dead(self) -> Task[None]:
        """No ramp: the rotor runs on, and nobody counts it."""
        core = self.core
        core.stepper.sync(core.now)
        speed, block = core.stepper.speed, core.planner.blocks[0] if core.planner.blocks else None
        self.rest()
        if speed > 0.5 and block is not None:
            core.slides[0].overrun(block.signs[0] * OVERSHOOT)
        yield _LATCH_S

    def set_place(self, words: dict[str, float], _: str) -> Task[None]:
        """G92: the workspace moves, the count stays."""
        core = self.core
        offset = list(core.parser.offset)
        for axis, letter in enumerate(AXES):
            if letter in words:
                offset[axis] = single(words[letter] - core.parser.position[axis])
        core.parser.offset = (offset[0], offset[1], offset[2])
        core.stepper.sync(core.now)
        yield from self.tell(core.counters())

    def kill(self, *_: object) -> Task[None]:
        """For ever."""
        self.rest()
        self.core.motors_off()
        yield from self.core.send(_HALT)
        while True:
            self.core.rx.ring.clear()
            self.core.requests = Request.NONE
            yield None

    def motors_on(self, *_: object) -> Task[None]:
        """M17."""
        self.core.motors_on()
        yield 0.0

    def motors(self, words: dict[str, float], _: str) -> Task[None]:
        """M84: off now, or after S seconds (0: never)."""
        if "S" in words:
            self.idle_s = words["S"]
            self.core.motors_off_s = float("inf")
        else:
            yield from self.waiting(self.until_still())
            self.core.motors_off()
        yield 0.0


MARLIN = MarlinFirmware()
