"""Numbers as an 8-bit AVR keeps them: 32-bit floats, byte-sized integers, and GRBL's own reading and printing of both.

GRBL 1.1's answers show these limits on the wire (eight significant digits, ``$3=300`` kept as 44, a division by zero
printed as 2147483.648), so the simulated controller computes with them. IEEE 754 binary32; conversions as avr-libc's.
"""

from __future__ import annotations

import math
import struct

_BINARY32 = struct.Struct("f")
_LONG_OUT_OF_RANGE = 0x80000000
_MAX_DIGITS = 8


def single(value: float) -> float:
    """Round `value` to the nearest 32-bit float; what is too large becomes infinite."""
    try:
        return float(_BINARY32.unpack(_BINARY32.pack(value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def divide(numerator: float, denominator: float) -> float:
    """32-bit division: x/0 is infinite, 0/0 is not a number."""
    if denominator == 0:
        return math.nan if numerator == 0 or math.isnan(numerator) else math.copysign(math.inf, numerator)
    return single(numerator / denominator)


def to_uint32(value: float) -> int:
    """Float to unsigned long: what does not fit becomes 2^31, as the AVR's conversion gives."""
    if not math.isfinite(value) or abs(value) >= 2**32:
        return _LONG_OUT_OF_RANGE
    return int(value) & 0xFFFFFFFF


def to_uint8(value: float) -> int:
    """Float to one byte, by truncation and wrapping."""
    return to_uint32(value) & 0xFF


def to_uint16(value: float) -> int:
    """Float to two bytes, by truncation and wrapping."""
    return to_uint32(value) & 0xFFFF


def to_steps(value: float) -> int:
    """Nearest whole step, halves away from zero; what does not fit 32 bits becomes -2^31."""
    if not math.isfinite(value) or abs(value) >= 2**31:
        return -(2**31)
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def read_number(text: str, start: int) -> tuple[float, int] | None:
    """Read one number from `text` at index `start`.

    Returns
    -------
    tuple of float and int, or None
        The value and the index behind it; None where no digit was found. Digits behind the eighth do not count,
        exponents are not known.
    """
    at = start
    negative = False
    if at < len(text) and text[at] in "+-":
        negative = text[at] == "-"
        at += 1
    digits = mantissa = exponent = 0
    decimal = False
    while at < len(text):
        letter = text[at]
        if "0" <= letter <= "9":
            digits += 1
            if digits <= _MAX_DIGITS:
                mantissa = mantissa * 10 + int(letter)
                exponent -= decimal
            elif not decimal:
                exponent += 1
        elif letter == "." and not decimal:
            decimal = True
        else:
            break
        at += 1
    if not digits:
        return None
    value = single(mantissa)
    if value:
        while exponent <= -2:
            value = single(value * single(0.01))
            exponent += 2
        if exponent < 0:
            value = single(value * single(0.1))
        while exponent > 0:
            value = single(value * 10.0)
            exponent -= 1
    return (-value if negative else value), at


def print_number(value: float, decimals: int) -> str:
    """Text of `value` with `decimals` places, rounded as GRBL does (half up, of the magnitude)."""
    sign = ""
    if value < 0:
        sign, value = "-", -value
    for _ in range(decimals // 2):
        value = single(value * 100)
    if decimals % 2:
        value = single(value * 10)
    value = single(value + 0.5)
    # The conversion is to a signed long, printed as an unsigned one.
    whole = _LONG_OUT_OF_RANGE if not math.isfinite(value) or value >= 2**31 else int(value)
    if not decimals:
        return f"{sign}{whole}"
    digits = str(whole).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
