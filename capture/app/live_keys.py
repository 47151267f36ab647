"""Keys pressed while something else is shown; none where nobody sits at a terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_MOST = 64


class Keys:
    """Reads keys from the terminal at `descriptor` (standard input), which is put back as it was at the end."""

    def __init__(self, descriptor: int | None = None) -> None:
        try:
            self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
            self.there = os.isatty(self._descriptor)
        except (ValueError, OSError):
            self.there = False
        self._before: list[object] | None = None

    def pressed(self) -> list[str]:
        """Keys since the last call, in their order: characters, and ``left``, ``right``, ``up``, ``down``."""
        if not self.there or not select.select([self._descriptor], [], [], 0.0)[0]:
            return []
        text = os.read(self._descriptor, _MOST).decode("utf-8", "replace")
        keys: list[str] = []
        k = 0
        while k < len(text):
            if text[k : k + 2] in {"\x1b[", "\x1bO"} and k + 2 < len(text):
                keys.append(_ARROWS.get(text[k + 2], ""))
                k += 3
            else:
                keys.append(text[k])
                k += 1
        return [key for key in keys if key]

    def __enter__(self) -> Self:
        if self.there:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
            self._before = None
