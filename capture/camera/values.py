"""When two spellings of a camera setting mean the same, and which of a camera's choices is nearest to a wish. Pure functions.

Cameras spell one exposure time `1/125`, `0.0080s`, `0,0080s` or `10/1250`, one aperture `f/4`, `4` or `4.0`, one sensitivity `100` or
`ISO 100`; the spelling depends on the maker, the body and the language libgphoto2 runs in.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence

from capture.camera.protocol import CaptureTarget, FileFormat, Role

LONGEST_HELD_S = 3600.0
"""A longer wish to hold the shutter is taken for a slip."""

BULB_S = math.inf
"""What `shutter_seconds` returns for bulb: open until told to close."""

# Two numbers within these ratios are one setting; neighbouring third stops differ by 1.26 (time) and 1.12 (aperture).
_SHUTTER_TOLERANCE = 1.07
_APERTURE_TOLERANCE = 1.03

_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_FRACTION = re.compile(rf"({_NUMBER})\s*/\s*({_NUMBER})")
_SECONDS = re.compile(rf"({_NUMBER})\s*(?:s|sec|secs|second|seconds|\"|'')?")
_MINUTES = re.compile(rf"({_NUMBER})\s*(?:m|min|minutes?)")
_MILLISECONDS = re.compile(rf"({_NUMBER})\s*ms")
_F_NUMBER = re.compile(rf"(?:f\s*/?\s*)?({_NUMBER})")
_ISO = re.compile(r"(?:iso\s*)?(\d+)(?:\.0+)?")
# A time that is this much longer than the longest offered is not a spelling of it.
_LONGER = 1.05
_BULB = {"bulb", "b", "65535/65535", "429496.7295s", "4294967295"}
_TIME = {"time", "t", "65535/65533", "429496.7293s"}
# Words of the makers (and of libgphoto2's German) for one thing.
_ALIKE: dict[Role, tuple[set[str], ...]] = {
    Role.ISO: ({"auto", "auto iso", "iso auto"},),
    Role.SHUTTER: (_TIME,),
    Role.AUTOFOCUS: ({"off", "aus", "manual", "manuell", "mf"},),
    Role.EXPOSURE_MODE: (
        {"m", "manual", "manuell"},
        {"a", "av", "aperture priority"},
        {"s", "tv", "shutter priority"},
        {"p", "program", "programm"},
    ),
}


def _plain(text: str) -> str:
    """Lower case, single blanks, a decimal point for a decimal comma."""
    squeezed = " ".join(text.casefold().split())
    return re.sub(r"(?<=\d),(?=\d)", ".", squeezed)


def shutter_seconds(text: str) -> float | None:
    """Exposure time of `text` in seconds; `BULB_S` for bulb; None where it is no time (`auto`, `Time`, an unknown code)."""
    plain = _plain(text)
    if plain in _BULB:
        return BULB_S
    if plain in _TIME or plain.startswith("65535/"):
        return None
    seconds: float | None = None
    if found := _FRACTION.fullmatch(plain.removesuffix("s").strip()):
        below = float(found[2])
        seconds = float(found[1]) / below if below else None
    elif found := _SECONDS.fullmatch(plain):
        seconds = float(found[1])
    elif found := _MINUTES.fullmatch(plain):
        seconds = float(found[1]) * 60.0
    elif found := _MILLISECONDS.fullmatch(plain):
        seconds = float(found[1]) / 1000.0
    return seconds if seconds is None or seconds > 0 else None


def f_number(text: str) -> float | None:
    """f-number of `text`; None where it is none (`auto`, or the `f/0` of a lens without contacts)."""
    found = _F_NUMBER.fullmatch(_plain(text))
    value = float(found[1]) if found else 0.0
    return value if value > 0 else None


def iso_speed(text: str) -> int | None:
    """ISO speed of `text`; None for automatic and for speeds with an addition (`25600 Multi Frame Noise Reduction`)."""
    found = _ISO.fullmatch(_plain(text))
    value = int(found[1]) if found else 0
    return value if value > 0 else None


def percent(text: str) -> int | None:
    """Battery charge 0 to 100 of `text` (`75%`); None for a word or a bare code."""
    found = re.fullmatch(r"(\d{1,3})(?:\.\d+)?\s*%", _plain(text))
    return int(found[1]) if found and int(found[1]) <= 100 else None


def _number(role: Role, text: str) -> float | None:
    if role is Role.SHUTTER:
        return shutter_seconds(text)
    if role is Role.APERTURE:
        return f_number(text)
    if role is Role.ISO:
        return iso_speed(text)
    return None


def _stops_apart(first: float, second: float) -> float:
    if math.isinf(first) or math.isinf(second):
        return 0.0 if first == second else math.inf
    return abs(math.log2(first / second))


def _cut_off(wish_s: float, choice: str) -> bool:
    """Whether `choice` is `wish_s` with its last decimals cut off, as bodies that count in 0.1 ms do (1/6400 s as `0.0001s`)."""
    found = re.fullmatch(r"(\d+\.(\d{3,}))s", _plain(choice))
    return found is not None and 0.0 <= wish_s - float(found[1]) < 0.999 * 10.0 ** -len(found[2])


def same(role: Role, first: str, second: str) -> bool:
    """Whether two spellings are one value of `role`."""
    if _plain(first) == _plain(second):
        return True
    one, other = _number(role, first), _number(role, second)
    if one is not None and other is not None:
        if role is Role.ISO:
            return one == other
        tolerance = _SHUTTER_TOLERANCE if role is Role.SHUTTER else _APERTURE_TOLERANCE
        if _stops_apart(one, other) <= math.log2(tolerance):
            return True
        return role is Role.SHUTTER and (_cut_off(one, second) or _cut_off(other, first))
    if one is not None or other is not None:
        return False
    return any({_plain(first), _plain(second)} <= words for words in _ALIKE.get(role, ()))


def is_exact(role: Role, wish: str, choice: str) -> bool:
    """Whether `choice` is `wish` without the help of decimals that the body cut off (`0.0001s` for 1/6400 and 1/8000 alike)."""
    if _plain(wish) == _plain(choice):
        return True
    one, other = _number(role, wish), _number(role, choice)
    if one is None or other is None or role is not Role.SHUTTER:
        return same(role, wish, choice)
    return _stops_apart(one, other) <= math.log2(_SHUTTER_TOLERANCE)


def bulb_time(wish: str, choices: Sequence[str]) -> float | None:
    """Seconds to hold the shutter for `wish`: longer than every time that is offered, or said so (``bulb:90``, ``bulb 90s``).

    None where the camera times it itself, or offers no bulb.
    """
    offered = [seconds for choice in choices if (seconds := shutter_seconds(choice)) is not None]
    if BULB_S not in offered:
        return None
    told = re.fullmatch(r"bulb[\s:]+(.+)", wish.strip(), re.IGNORECASE)
    seconds = shutter_seconds(told[1] if told else wish)
    if seconds is None or seconds <= 0 or seconds > LONGEST_HELD_S:
        return None
    timed = [choice for choice in offered if choice != BULB_S]
    return seconds if told or not timed or seconds > _LONGER * max(timed) else None


def find_choice(role: Role, wish: str, choices: Sequence[str], current: str | None = None) -> str | None:
    """The choice that means `wish`, closest first; None where there is none.

    For the format and the target the words of the command line are understood (`RAW+JPEG`, `card`); there, a `current` value that
    already does what is wished is kept.
    """
    for choice in choices:
        if choice == wish:
            return choice
    for choice in choices:
        if _plain(choice) == _plain(wish):
            return choice
    if role is Role.FORMAT:
        wished = format_named(wish)
        return choose_format(wished, choices, current) if wished else None
    if role is Role.TARGET:
        target = target_named(wish)
        return choose_target(target, choices, current) if target else None
    equal = [choice for choice in choices if same(role, wish, choice)]
    number = _number(role, wish)
    if number is None or not equal:
        return equal[0] if equal else None
    return min(equal, key=lambda choice: _stops_apart(number, _number(role, choice) or number))


def nearest_choice(role: Role, wish: str, choices: Sequence[str]) -> str | None:
    """The choice nearest to `wish`: by stops for exposure settings, by spelling for the others; None where nothing is near."""
    number = _number(role, wish)
    if number is not None:
        measured = [(value, choice) for choice in choices if (value := _number(role, choice)) is not None]
        if measured:
            return min(measured, key=lambda pair: _stops_apart(number, pair[0]))[1]
    if role is Role.FORMAT and (files := format_of(wish)) is not None:
        # what makes the same files is nearer than any spelling
        alike = [choice for choice in choices if format_of(choice) is files]
        return _nearest_spelling(wish, alike) or _nearest_spelling(wish, choices)
    return _nearest_spelling(wish, choices)


def _nearest_spelling(wish: str, choices: Sequence[str]) -> str | None:
    plain = {_plain(choice): choice for choice in choices}
    close = difflib.get_close_matches(_plain(wish), plain, n=1, cutoff=0.4)
    return plain[close[0]] if close else None


_RAW_WORD = re.compile(r"raw|nef|nrw|cr2|cr3|crw|arw|raf|orf|rw2|dng|pef|x3f")
_HEIF_WORD = re.compile(r"hei[fc]|\bhif\b")
_OTHER_WORD = re.compile(r"tiff|unknown|unbekannt|movie|video")
_JPEG_WORD = re.compile(r"jpe?g|fine|fein|normal|basic|standard|\bstd\b")
# Canon's own names of JPEG sizes, fine and coarse: `L`, `cM1`, `RAW + S2`.
_CANON_SHORT = re.compile(r"(?:^|\+\s*)c?([lms])(\d?)$")
# The best first; German because listings are recorded in the user's language.
_JPEG_QUALITY = (
    "superfine",
    "super fine",
    "extra fine",
    "x.fine",
    "fine",
    "fein",
    "normal",
    "standard",
    "std",
    "basic",
)
_JPEG_SIZE = ("large", "medium", "small", "smaller", "tiny")


def format_named(word: str) -> FileFormat | None:
    """`RAW`, `JPEG` or `RAW+JPEG` in any case, with or without blanks."""
    plain = re.sub(r"\s", "", word.casefold()).replace("jpg", "jpeg")
    plain = "raw+jpeg" if plain == "jpeg+raw" else plain
    return next((known for known in FileFormat if known.value.casefold() == plain), None)


def format_of(choice: str) -> FileFormat | None:
    """The files that a camera's own format string stands for (`NEF+Fine`, `cRAW`, `Large Fine JPEG`); None for TIFF, HEIF, codes."""
    plain = _plain(choice)
    if _HEIF_WORD.search(plain) or _OTHER_WORD.search(plain):
        return None
    raw = _RAW_WORD.search(plain) is not None
    jpeg = _JPEG_WORD.search(_RAW_WORD.sub("", plain)) is not None or _CANON_SHORT.search(plain) is not None
    if raw and jpeg:
        return FileFormat.RAW_JPEG
    if raw:
        return FileFormat.RAW
    return FileFormat.JPEG if jpeg else None


def _format_rank(choice: str) -> tuple[int, int, int]:
    """Smaller is better: full RAW before compressed before reduced, the largest JPEG of the finest quality."""
    plain = _plain(choice)
    reduced = 2 if re.search(r"\b[ms]\d?[- ]?raw|sraw|mraw", plain) else 1 if re.search(r"\bc[- ]?raw", plain) else 0
    if short := _CANON_SHORT.search(plain):
        fine = _JPEG_QUALITY.index("normal" if "c" in short[0] else "fine")
        return reduced, "lms".index(short[1]) + int(short[2] or 0), fine
    size = next((i for i, word in reversed(list(enumerate(_JPEG_SIZE))) if re.search(rf"\b{word}\b", plain)), 0)
    quality = next((i for i, word in enumerate(_JPEG_QUALITY) if word in plain), len(_JPEG_QUALITY))
    return reduced, size, quality


def choose_format(wish: FileFormat, choices: Sequence[str], current: str | None = None) -> str | None:
    """The camera's choice that makes the wished files, the best quality first; `current` is kept where it makes them already."""
    if current in choices and current is not None and format_of(current) is wish:
        return current
    fitting = [choice for choice in choices if format_of(choice) is wish]
    return min(fitting, key=_format_rank) if fitting else None


def files_expected(choice: str) -> int | None:
    """Files of one shot with the format string `choice`; None where the string is not understood."""
    known = format_of(choice)
    if known is None:
        return None
    return 2 if known is FileFormat.RAW_JPEG else 1


def target_named(word: str) -> CaptureTarget | None:
    """`card` or `memory`, in any case."""
    return next((known for known in CaptureTarget if known.value == word.strip().casefold()), None)


def target_of(choice: str) -> CaptureTarget | None:
    """Where a camera's own target string puts a shot (`Internal RAM`, `sdram`, `card+sdram`, `Memory card`)."""
    plain = _plain(choice)
    if "card" in plain or "karte" in plain:
        return CaptureTarget.CARD
    if "ram" in plain or "memory" in plain or "speicher" in plain:
        return CaptureTarget.MEMORY
    return None


def choose_target(wish: CaptureTarget, choices: Sequence[str], current: str | None = None) -> str | None:
    """The camera's choice for the wished target; a choice that serves the download at once (`card+sdram`) before a plain card."""
    if current in choices and current is not None and target_of(current) is wish:
        return current
    fitting = [choice for choice in choices if target_of(choice) is wish]
    return min(fitting, key=lambda choice: "+" not in choice) if fitting else None
