"""How every compiled loop of the fusion is declared: ahead of time, cached beside the source, free of the interpreter's lock.

The signature is given, so a loop is compiled once, when its module is first imported (``python -m stacking.warm`` does
that at installation), and is read from the cache afterwards: no picture ever waits for a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])

# Contraction to fused multiply-add only: no reordering, so the same frames give the same bytes.
_FAST_MATH = {"contract", "nsz", "arcp"}


def compiled(*signatures: str) -> Callable[[Loop], Loop]:
    """Compile a function for the given numba signatures, cached and without the interpreter's lock."""
    decorate = numba.njit(
        list(signatures), cache=True, nogil=True, fastmath=_FAST_MATH, error_model="numpy", boundscheck=False
    )
    return cast(Callable[[Loop], Loop], decorate)


def inlined(loop: Loop) -> Loop:
    """A small function that compiled loops call; it has no life of its own in Python."""
    return cast(
        Loop, numba.njit(inline="never", cache=True, nogil=True, fastmath=_FAST_MATH, error_model="numpy")(loop)
    )
