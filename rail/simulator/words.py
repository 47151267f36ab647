"""G-code words of one line: what is there, and what may not stand together.

First of the parser's steps: letters and numbers, modal groups, repeated and negative words (NIST RS274/NGC v3,
tables 2 and 4), with GRBL 1.1's error codes and limits.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from enum import Enum, auto

from rail.simulator.single import read_number, single, to_uint8, to_uint16
from rail.simulator.states import Modal

LETTER = 1
NUMBER = 2
NEGATIVE = 4
UNSUPPORTED = 20
GROUP = 21
NOT_INTEGER = 23
AXIS_CONFLICT = 24
REPEATED = 25
TOO_LARGE = 38

_VALUE_LETTERS = "FIJKLNPRSTXYZ"
_NEVER_NEGATIVE = "FNPTS"
_MAX_TOOL = 255


class RefusedError(Exception):
    """The line is refused with ``error:code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class AxisUse(Enum):
    """What the axis words of the line belong to."""

    NONE = auto()
    NON_MODAL = auto()
    MOTION = auto()
    TOOL_LENGTH = auto()


@dataclass(slots=True)
class Words:
    """A line taken apart.

    Attributes
    ----------
    modal : Modal
        Modal state as it will be.
    jog : bool
    non_modal : int
        4, 10, 28, 30, 53, 92, the ``.1`` forms as 281, 301, 921; 0: none.
    axis_use : AxisUse
    groups : set of str
        Modal groups that the line names.
    values : dict of str to float
        Value words by letter.
    """

    modal: Modal
    jog: bool
    non_modal: int = 0
    axis_use: AxisUse = AxisUse.NONE
    groups: set[str] = field(default_factory=set)
    values: dict[str, float] = field(default_factory=dict)

    @property
    def axes(self) -> list[int]:
        """Axes named by X, Y, Z words."""
        return [axis for axis, letter in enumerate("XYZ") if letter in self.values]


def parse(line: str, modal: Modal) -> Words:
    """Take `line` (upper case, no spaces, no comments) apart.

    Raises
    ------
    RefusedError
    """
    jog = line.startswith("$J=")
    words = Words(copy(modal), jog)
    if jog:
        words.modal.motion = 1
        words.modal.feed_mode = 94
    at = 3 if jog else 0
    while at < len(line):
        letter = line[at]
        if not "A" <= letter <= "Z":
            raise RefusedError(LETTER)
        read = read_number(line, at + 1)
        if read is None:
            raise RefusedError(NUMBER)
        value, at = read
        whole = to_uint8(value)
        rounded = single(100 * single(value - whole))
        hundredths = to_uint16(rounded + 0.5 if rounded >= 0 else rounded - 0.5)
        if letter == "G":
            _g_word(words, whole, hundredths)
        elif letter == "M":
            if hundredths:
                raise RefusedError(NOT_INTEGER)
            _name_group(words, _m_word(words.modal, whole))
        else:
            _value_word(words, letter, value)
    return words


def _name_group(words: Words, group: str) -> None:
    if group in words.groups:
        raise RefusedError(GROUP)
    words.groups.add(group)


def _claim_axes(words: Words, use: AxisUse) -> None:
    if words.axis_use is not AxisUse.NONE:
        raise RefusedError(AXIS_CONFLICT)
    words.axis_use = use


def _g_word(words: Words, code: int, hundredths: int) -> None:
    modal = words.modal
    if code in (4, 10, 28, 30, 53, 92):
        group, hundredths = _non_modal(words, code, hundredths)
    elif code in (0, 1, 2, 3, 38, 80):
        group, hundredths = _motion(words, code, hundredths)
    elif code in (17, 18, 19):
        group, modal.plane = "plane", code
    elif code in (90, 91):
        group, hundredths = _distance(modal, code, hundredths)
    elif code in (93, 94):
        group, modal.feed_mode = "feed mode", code
    elif code in (20, 21):
        group, modal.units = "units", code
    elif code == 40:
        group = "cutter radius"
    elif code in (43, 49):
        group, hundredths = "tool length", _tool_length(words, code, hundredths)
    elif 54 <= code <= 59:
        group, modal.coordinates = "coordinates", code
    elif code == 61 and not hundredths:
        group = "path control"
    else:
        raise RefusedError(UNSUPPORTED)
    if hundredths:
        raise RefusedError(NOT_INTEGER)
    _name_group(words, group)


def _non_modal(words: Words, code: int, hundredths: int) -> tuple[str, int]:
    if code not in (4, 53) and not hundredths:
        _claim_axes(words, AxisUse.NON_MODAL)
    words.non_modal = code
    if code in (28, 30, 92):
        if hundredths not in (0, 10):
            raise RefusedError(UNSUPPORTED)
        words.non_modal = code * 10 + 1 if hundredths else code
        hundredths = 0
    return "non-modal", hundredths


def _motion(words: Words, code: int, hundredths: int) -> tuple[str, int]:
    if code != 80:
        _claim_axes(words, AxisUse.MOTION)
    words.modal.motion = code
    if code == 38:
        if hundredths not in (20, 30, 40, 50):
            raise RefusedError(UNSUPPORTED)
        words.modal.motion = 380 + hundredths // 10
        hundredths = 0
    return "motion", hundredths


def _distance(modal: Modal, code: int, hundredths: int) -> tuple[str, int]:
    if not hundredths:
        modal.distance = code
        return "distance", 0
    if code == 90 or hundredths != 10:
        raise RefusedError(UNSUPPORTED)
    return "arc distance", 0


def _tool_length(words: Words, code: int, hundredths: int) -> int:
    _claim_axes(words, AxisUse.TOOL_LENGTH)
    if code == 43 and hundredths != 10:
        raise RefusedError(UNSUPPORTED)
    words.modal.tool_length = code == 43
    return 0


def _m_word(modal: Modal, code: int) -> str:
    if code in (0, 1, 2, 30):
        modal.flow = {0: 3, 1: modal.flow}.get(code, code)
        return "program flow"
    if code in (3, 4, 5):
        modal.spindle = code
        return "spindle"
    if code in (8, 9):
        modal.flood = code == 8
        return "coolant"
    raise RefusedError(UNSUPPORTED)


def _value_word(words: Words, letter: str, value: float) -> None:
    if letter not in _VALUE_LETTERS:
        raise RefusedError(UNSUPPORTED)
    if letter == "T" and value > _MAX_TOOL:
        raise RefusedError(TOO_LARGE)
    if letter in words.values:
        raise RefusedError(REPEATED)
    if letter in _NEVER_NEGATIVE and value < 0:
        raise RefusedError(NEGATIVE)
    words.values[letter] = value
