"""The dialects of GRBL that this package speaks, and all that differs between them: one value each.

GRBL 1.1, grblHAL and FluidNC share lines, reports and real-time bytes. They differ in how they say who they are, where
their settings are, how one axis homes alone, what their codes mean, and in what of the origin dies with their memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rail.errors import RailRefusedError
from rail.grbl import codes, encode
from rail.grbl.protocol import Message, Reply, Setting, TextSetting


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of controller.

    Attributes
    ----------
    key : str
        ``grbl``, ``grblhal`` or ``fluidnc``.
    name : str
        As its makers write it.
    book : codes.CodeBook
        What its numbers mean.
    greeting : tuple of str
        Lines sent once, when it has been recognised.
    mark_in_tool_offset : bool
        The G92 offset outlives a restart here, so the mark of a known origin is kept in the tool length offset, which does not.
    homes_one_axis : bool
        ``$HX`` homes X alone, whatever the settings.
    paths : mapping of int to str
        GRBL's setting number to the name of that setting here, where it has no number.
    """

    key: str
    name: str
    book: codes.CodeBook
    greeting: tuple[str, ...] = ()
    mark_in_tool_offset: bool = False
    homes_one_axis: bool = False
    paths: Mapping[int, str] | None = None

    def set_offset(self, work_x_mm: float | None, work_z_mm: float, work_y_mm: float = 0.0) -> tuple[str, ...]:
        """Lines that declare the present place to be `work_x_mm` with the name `work_y_mm` (None: leave both), and the mark `work_z_mm`."""
        if not self.mark_in_tool_offset:
            return (encode.offset(work_x_mm, work_z_mm, work_y_mm),)
        mark = encode.tool_offset(-work_z_mm)
        if work_x_mm is None:
            return (mark,)
        return ("G49", encode.offset(work_x_mm, 0.0, work_y_mm), mark)

    def forget_offset(self) -> tuple[str, ...]:
        """Lines that take the mark away."""
        return ("G49", encode.FORGET_ORIGIN) if self.mark_in_tool_offset else (encode.FORGET_ORIGIN,)

    def home(self, settings: Mapping[int, float], options: str) -> str:
        """The line that homes X, alone where that can be had; `options` are those of ``[OPT:...]``."""
        alone = self.homes_one_axis
        if self.key == "grbl":
            alone = "H" in options.split(",", 1)[0]  # a build with HOMING_SINGLE_AXIS_COMMANDS
        elif self.key == "grblhal":
            alone = bool(int(settings.get(22, 0)) & 2)
        return "$HX" if alone else "$H"

    def name_of(self, number: int) -> str:
        """How setting `number` of GRBL is called here."""
        if number == HOME_MM:
            return _HOME_PATH
        return (self.paths or {}).get(number, f"${number}")


GRBL = Dialect("grbl", "GRBL 1.1", codes.GRBL_BOOK)

GRBLHAL = Dialect(
    "grblhal", "grblHAL", codes.CodeBook(codes.GRBLHAL_ERRORS, codes.GRBLHAL_ALARMS), mark_in_tool_offset=True
)

FLUIDNC = Dialect(
    "fluidnc",
    "FluidNC",
    codes.CodeBook(codes.FLUIDNC_ERRORS, codes.FLUIDNC_ALARMS),
    greeting=("$Report/Interval=0",),  # its own reports would be taken for answers to a question
    homes_one_axis=True,
    paths={
        1: "$/stepping/idle_ms",
        20: "$/axes/x/soft_limits",
        21: "$/axes/x/motor0/hard_limits",
        22: "$/axes/x/homing/cycle",
        23: "$/axes/x/homing/positive_direction",
        24: "$/axes/x/homing/feed_mm_per_min",
        25: "$/axes/x/homing/seek_mm_per_min",
        27: "$/axes/x/motor0/pulloff_mm",
        100: "$/axes/x/steps_per_mm",
        110: "$/axes/x/max_rate_mm_per_min",
        120: "$/axes/x/acceleration_mm_per_sec2",
        130: "$/axes/x/max_travel_mm",
    },
)

HOME_MM = 1000
"""Key, among a controller's settings, for the machine position at which homing ends (FluidNC's ``mpos_mm``)."""

_HOME_PATH = "$/axes/x/homing/mpos_mm"
_DIRECTION = 23
_HOMING = 22


def recognise(said: Mapping[str, str], banner: str) -> Dialect | None:
    """Whose answer to ``$I`` is `said` (tag to body, of each ``[tag:body]``)? None where it is nobody's known here."""
    version, firmware = said.get("VER", ""), said.get("FIRMWARE", "")
    if "FluidNC" in version:
        return FLUIDNC
    if (
        firmware.lower() == "grblhal"
        or "NEWOPT" in said
        or (version.startswith("1.1") and banner.lower().startswith("grblhal"))
    ):
        return GRBLHAL
    if version.startswith("1.1") and not firmware:
        return GRBL
    return None


def read_settings(dialect: Dialect, ask: Callable[[str], list[Reply]]) -> dict[int, float]:
    """The controller's settings under GRBL's numbers, whatever they are called there; `ask` sends a line."""
    found = {r.number: r.value for r in ask("$$") if isinstance(r, Setting)}
    if dialect.paths is None:
        return found
    for number, path in {**dialect.paths, HOME_MM: _HOME_PATH}.items():
        if "/homing/" in path and not found.get(_HOMING) and number != _HOMING:
            continue  # no such part in its configuration
        value = _value(ask, path)
        if value is None:
            continue
        # A direction here, where GRBL has a mask of the axes that home downwards.
        found[number] = float(not value) if number == _DIRECTION else value
    return found


def _value(ask: Callable[[str], list[Reply]], path: str) -> float | None:
    try:
        replies = ask(path)
    except RailRefusedError:
        return None  # no such part in its configuration: an axis without homing, for one
    for reply in replies:
        if isinstance(reply, TextSetting) and reply.name.lower() == path[1:].lower():
            text = reply.text.strip().lower()
            if text in {"true", "false"}:
                return float(text == "true")
            try:
                return float(text)
            except ValueError:
                return None
    return None


def path_line(dialect: Dialect, number: int, value: float) -> str:
    """The line that sets a setting which has a name."""
    path = dialect.name_of(number)
    text = encode.setting(value)
    if number in {_DIRECTION, 20, 21}:
        text = str(bool(value) is not (number == _DIRECTION)).lower()
    return f"{path}={text}"


KEEP_HINT = (
    "FluidNC keeps what was written until it restarts only: put the same values into its config.yaml, or write its "
    "present configuration over that file with `$CD=config.yaml` on its console."
)


def tags(replies: list[Reply]) -> dict[str, str]:
    """The ``[tag:body]`` lines among `replies`."""
    return {reply.tag: reply.body for reply in replies if isinstance(reply, Message)}
