"""What the engine asks about files, answered from what was found out before where it was; and positions as frames come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stacking.frames import Source
from stacking.prepared import Prepared, file_key

if TYPE_CHECKING:
    from stacking.develop_raw import RawRendering, Suspected


class Answers:
    """Answers about files, from memory where they were given before."""

    def __init__(self, prepared: Prepared | None) -> None:
        self._prepared = prepared

    def rendering(self, path: Path) -> RawRendering:
        """How the RAW frames of a stack that begins with this one are rendered."""
        from stacking.develop_raw import choose_rendering

        if self._prepared is None:
            return choose_rendering(path)
        return self._prepared.answer(("rendering", file_key(path)), lambda: choose_rendering(path))

    def suspected(self, path: Path, span: float) -> Suspected | None:
        """Pixels of a RAW frame that stand out of their surroundings."""
        from stacking.develop_raw import suspected_defects

        with suppress(OSError):  # a file that is gone suspects nothing
            if self._prepared is not None:
                question = ("suspected", file_key(path), span)
                return self._prepared.answer(question, lambda: suspected_defects(path, span))
        return suspected_defects(path, span)


class PositionsSoFar(Sequence[float | None]):
    """The positions of sources that may still become more."""

    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._sources[index].position_um
