"""The running stack: frames are taken in as they are shot, a preview is kept up to date, and only the final fusion is left at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stacking.develop import as_source
from stacking.engine import Engine, Progress
from stacking.errors import StackingError
from stacking.frames import Source
from stacking.options import StackOptions
from stacking.prepared import PictureStore, Prepared, file_key
from stacking.preview import Preview, decoded, encoded
from stacking.report import StackReport
from stacking.stack import stack_pictures

F64 = NDArray[np.float64]

_PREVIEW = "preview"
# A frame drawn into the preview whose place turned out to be another by more than this makes it begin anew.
_MOVED_PX = 3.0
_EXPECTED = (StackingError, OSError, ValueError, ArithmeticError)


class RunningStack:
    """A stack that grows. Frames may come in any order, be put between others, and be taken back.

    What is found out about them is kept (`stacking.prepared`); the final run over all of them is the ordinary one.

    Parameters
    ----------
    options : StackOptions
        As the final run will have them.
    preview : Path or None
        Where the running picture is written as JPEG; its folder's disk also holds the developed frames meanwhile.
    folder : Path, optional
        On whose disk they lie instead.

    Attributes
    ----------
    notes : list of str
        What went wrong, and only cost the preview or time.
    """

    def __init__(self, options: StackOptions, preview: Path | None = None, folder: Path | None = None) -> None:
        self._options = options
        self._path = preview
        where = folder if folder is not None else None if preview is None else preview.parent
        self.notes: list[str] = []
        self._prepared = Prepared(self._store(where))
        self._sources: dict[int, Source] = {}
        self._places: dict[int, float] = {}
        self._order: list[int] = []
        self._engine: Engine | None = None
        self._preview: Preview | None = None
        self._kept: set[int] = set()
        self._shown: dict[int, F64] = {}

    def add(self, number: int, paths: Sequence[Path], place: float, position_um: float | None = None) -> None:
        """Take in frame `number`: develop, measure and match it, and lay it into the preview. Raises nothing.

        Parameters
        ----------
        number : int
        paths : sequence of Path
            The exposures whose average it is, mostly one.
        place : float
            Frames lie along the stack in its order; of equal ones, by number.
        position_um : float, optional
            The same, where it counts in um.
        """
        try:
            self._sources[number] = replace(as_source(paths[0]), position_um=position_um, also=tuple(paths[1:]))
            self._places[number] = place
            order = sorted(self._sources, key=lambda n: (self._places[n], n))
            appended, self._order = order[:-1] == self._order, order
            if self._engine is not None and appended:
                self._engine.add(self._sources[number])
            else:
                self._begin_anew()
            self._show()
        except _EXPECTED as error:
            self._failed(f"{paths[0].name}: {getattr(error, 'message', error)}")

    def withdraw(self, number: int) -> None:
        """Forget frame `number`; it may come again. Raises nothing."""
        if self._sources.pop(number, None) is None:
            return
        self._order.remove(number)
        self._kept.discard(number)
        self._engine, self._preview = None, None
        self._shown.clear()

    def write_preview(self) -> None:
        """Write the preview of the frames so far. Raises nothing."""
        try:
            if self._engine is None and self._order:
                self._begin_anew()
                self._show()
            if self._path is not None and self._preview is not None and self._preview.frames:
                self._preview.write(self._path)
        except _EXPECTED as error:
            self._failed(f"the preview cannot be written: {getattr(error, 'message', error)}")

    def finish(
        self, paths: Iterable[Path | str], output: Path, options: StackOptions, progress: Progress | None = None
    ) -> StackReport:
        """`stacking.stack.stack_pictures`, in less time: the same files, byte for byte.

        Raises
        ------
        StackingError
        """
        return stack_pictures(paths, output, options, progress, self._prepared)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what was kept."""
        if self._prepared.pictures is not None:
            self._prepared.pictures.close()

    # -- inside --------------------------------------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        """Frames before others, or gone: measured and matched again, from memory as far as nothing changed."""
        engine = Engine(self._options, None, self._prepared)
        engine.extend([self._sources[n] for n in self._order])
        self._engine = engine

    def _show(self) -> None:
        """Develop and keep what came since, and lay it into the preview once it is known how it lies."""
        engine = self._engine
        if engine is None:
            return
        rows, columns = engine.development.size
        places = {number: engine.provisional(index) for index, number in enumerate(self._order)}
        if len(self._order) == 1:  # a first frame waits for its place until another matches it, but is worth a look
            places = dict.fromkeys(self._order, np.eye(2, 3))
        if self._preview is None or any(_moved(was, places[number]) for number, was in self._shown.items()):
            self._preview = Preview((columns, rows))
            self._shown.clear()
        for index, number in enumerate(self._order):
            place = places[number]
            if number in self._shown or (number in self._kept and place is None):
                continue
            small = self._small(engine, index, number, self._preview)
            self._kept.add(number)
            if place is not None and small is not None:
                self._preview.add(small, place)
                self._shown[number] = place

    def _small(self, engine: Engine, index: int, number: int, preview: Preview) -> NDArray[np.uint8] | None:
        """A frame for the preview; one seen before is not developed again."""
        store = self._prepared.pictures
        try:
            key = (_PREVIEW, *map(file_key, self._sources[number].paths))
            kept = None if store is None else store.get(key)
            if kept is None:
                kept = np.frombuffer(encoded(preview.small(engine.keep(index))), np.uint8)
                if store is not None:
                    store.put(key, kept)
        except _EXPECTED as error:
            self._failed(f"{self._sources[number].path.name}: {getattr(error, 'message', error)}")
            return None
        return decoded(np.asarray(kept, np.uint8))

    def _store(self, where: Path | None) -> PictureStore | None:
        try:
            return None if where is None else PictureStore(where)
        except OSError as error:
            self._failed(f"developed frames cannot be kept in {where}: {error.strerror or error}")
            return None

    def _failed(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _moved(was: F64, now: F64 | None) -> bool:
    return now is None or bool(np.abs(was[:, 2] - now[:, 2]).max() > _MOVED_PX)
