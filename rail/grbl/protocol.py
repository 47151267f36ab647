"""The line protocol of GRBL 1.1 and its family as values: bytes in, replies out, no I/O.

Only ``ok`` and ``error:N`` answer a line; everything else is a push and may come at any moment. Nothing here raises
on any input: what is not understood becomes `Unrecognised`, because one flipped byte must not end a session.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LINE_LIMIT = 512
"""Longest line kept by `LineAssembler`, bytes. GRBL's own longest (a status report) is under 120."""

_NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})\Z")
_SETTING = re.compile(r"\$(\d{1,3})=([^\s]*)(?:\s*\(.*\))?\Z")
_NAMED = re.compile(r"\$(/?[A-Za-z][\w/.]*|\d{1,3})=(.*)\Z")
_STARTUP = re.compile(r"\$N(\d)=(.*)\Z")
_STATES = frozenset({"Idle", "Run", "Hold", "Jog", "Alarm", "Door", "Check", "Home", "Sleep", "Tool", "Starting"})
_MILLIMETRES_PER_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Ok:
    """``ok``: the line was parsed and queued. It does not mean that anything has arrived."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """``error:N``: the line was refused."""

    code: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """``ALARM:N``: pushed when the controller locks itself."""

    code: int


@dataclass(frozen=True, slots=True)
class Banner:
    """The greeting after a reset; in mid-session it means that the controller was reset."""

    text: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Status:
    """A ``<...>`` report, in the controller's report unit.

    Attributes
    ----------
    state : str
        ``Idle``, ``Run``, ``Hold``, ``Jog``, ``Alarm``, ``Door``, ``Check``, ``Home``, ``Sleep`` or ``Tool``.
    substate : int or None
        The number behind ``Hold:`` and ``Door:``.
    mpos, wpos, wco : tuple of float or None
        Machine position, work position, work offset; the first two exclude each other, the third comes rarely.
    pins : str
        Letters of the input pins that are active.
    fields : dict
        Every field by key, as text.
    """

    state: str
    substate: int | None = None
    mpos: tuple[float, ...] | None = None
    wpos: tuple[float, ...] | None = None
    wco: tuple[float, ...] | None = None
    pins: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def at_rest(self) -> bool:
        """True where the report says that nothing moves."""
        return self.state in {"Idle", "Alarm", "Check", "Sleep"} or (
            self.state in {"Hold", "Door"} and not self.substate
        )

    def in_millimetres(self, *, inches: bool) -> Status:
        """The same report with lengths in mm; `inches` is the controller's ``$13``."""
        if not inches:
            return self
        scaled = [
            None if v is None else tuple(c * _MILLIMETRES_PER_INCH for c in v) for v in (self.mpos, self.wpos, self.wco)
        ]
        return Status(self.state, self.substate, scaled[0], scaled[1], scaled[2], self.pins, self.fields)

    def machine_position(self, wco: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """Machine position, from ``MPos``, or from ``WPos`` and the offset last seen; None where that is not known."""
        if self.mpos is not None:
            return self.mpos
        offset = self.wco if self.wco is not None else wco
        if self.wpos is None or offset is None or len(offset) != len(self.wpos):
            return None
        return tuple(w + o for w, o in zip(self.wpos, offset, strict=True))


@dataclass(frozen=True, slots=True)
class Setting:
    """``$number=value``."""

    number: int
    value: float


@dataclass(frozen=True, slots=True)
class TextSetting:
    """``$name=text``: a setting that has a name (FluidNC), or a value that is no number (grblHAL)."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class StartupLine:
    """``$N0=...``: a line that the controller runs after each reset."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class StartupEcho:
    """``>line:ok``: the controller ran a start-up line. It answers nothing that the host sent."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """``[tag:body]``: a message or the answer to a ``$`` query."""

    tag: str
    body: str

    def numbers(self) -> tuple[float, ...] | None:
        """The body as comma-separated numbers, or None."""
        return _numbers(self.body)


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line."""


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """A line that is none of the above: another controller, or a byte went wrong on the wire."""

    text: str


Reply = (
    Ok
    | ErrorReply
    | Alarm
    | Banner
    | Status
    | Setting
    | TextSetting
    | StartupLine
    | StartupEcho
    | Message
    | Blank
    | Unrecognised
)


class LineAssembler:
    """Cuts a byte stream into lines. A line longer than `LINE_LIMIT` is handed on in pieces, so memory stays bounded."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; return the complete lines without their line ends."""
        self._pending += data
        lines: list[bytes] = []
        while (end := self._pending.find(b"\n")) >= 0:
            lines.append(bytes(self._pending[:end]).rstrip(b"\r"))
            del self._pending[: end + 1]
        while len(self._pending) > LINE_LIMIT:
            lines.append(bytes(self._pending[:LINE_LIMIT]))
            del self._pending[:LINE_LIMIT]
        return lines

    @property
    def pending(self) -> bytes:
        """The unfinished line."""
        return bytes(self._pending)


def classify(line: bytes) -> list[Reply]:
    """Read one line.

    Returns one reply, or two where a report lost its line end and the next line is glued to it (``<...>ok``).
    """
    text = line.decode("ascii", errors="replace").strip("\r\n\0 \t")
    if text.startswith("<") and ">" in text[:-1] and not text.endswith(">"):
        head, _, tail = text.partition(">")
        return [_classify_text(head + ">"), _classify_text(tail)]
    return [_classify_text(text)]


def _classify_text(text: str) -> Reply:
    if not text:
        return Blank()
    if text == "ok":
        return Ok()
    if text.startswith("error:"):
        code = _integer(text[6:])
        return Unrecognised(text) if code is None else ErrorReply(code)
    if text.startswith("ALARM:"):
        code = _integer(text[6:])
        return Unrecognised(text) if code is None else Alarm(code)
    if text.startswith("<"):
        return _status(text)
    if text.startswith("[") and text.endswith("]"):
        tag, _, body = text[1:-1].partition(":")
        return Message(tag, body)
    if text.startswith("$"):
        return _dollar(text)
    if text.startswith(">") and ":" in text:
        return StartupEcho(text[1:])
    return _banner(text) or Unrecognised(text)


def _banner(text: str) -> Banner | None:
    match = re.match(r"(Grbl\w*)\s+(\S+)\s*.*\[.*\]\Z", text, re.IGNORECASE)
    return Banner(text, match.group(1), match.group(2)) if match else None


def _dollar(text: str) -> Reply:
    if match := _SETTING.match(text):
        if _NUMBER.match(match.group(2)):
            return Setting(int(match.group(1)), float(match.group(2)))
    elif match := _STARTUP.match(text):
        return StartupLine(int(match.group(1)), match.group(2))
    if (match := _NAMED.match(text)) and text.isascii() and text.isprintable() and not _is_number_only(match.group(1)):
        return TextSetting(match.group(1), match.group(2))
    return Unrecognised(text)


def _is_number_only(name: str) -> bool:
    """Settings that are numbers in every dialect; grblHAL's names of networks and alike lie elsewhere."""
    return name.isdigit() and (int(name) < 70 or 100 <= int(name) < 200)


def _status(text: str) -> Reply:
    if not text.endswith(">") or "<" in text[1:]:
        return Unrecognised(text)
    head, *parts = text[1:-1].split("|")
    state, _, sub = head.partition(":")
    substate = _integer(sub) if sub else None
    if state not in _STATES or (sub and substate is None):
        return Unrecognised(text)
    fields: dict[str, str] = {}
    for part in parts:
        key, colon, value = part.partition(":")
        if not colon or not key.isalnum() or key in fields:
            return Unrecognised(text)
        fields[key] = value
    vectors = {key: _numbers(fields[key]) for key in ("MPos", "WPos", "WCO") if key in fields}
    if any(vector is None for vector in vectors.values()) or not vectors.keys() & {"MPos", "WPos"}:
        return Unrecognised(text)
    if len({len(vector) for vector in vectors.values() if vector is not None}) > 1:
        return Unrecognised(text)  # a comma was lost
    return Status(
        state, substate, vectors.get("MPos"), vectors.get("WPos"), vectors.get("WCO"), fields.get("Pn", ""), fields
    )


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _numbers(text: str) -> tuple[float, ...] | None:
    parts = text.split(",")
    if not all(_NUMBER.match(part) for part in parts):
        return None
    return tuple(float(part) for part in parts)
