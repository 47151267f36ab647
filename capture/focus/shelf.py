"""Surveys of a session's frames, kept in a file without a name instead of in memory: a thousand frames cost no more than ten."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from capture.focus.survey import FrameSurvey

_ARRAYS = ("levels", "direction", "thumb")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array lies in the file."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class SurveyShelf(MutableMapping[int, FrameSurvey]):
    """A dictionary of surveys by frame number whose arrays are views of a temporary file: read from disk when they are looked at.

    The system frees the file when the shelf goes. A survey that is put again takes new room; there are few of them.
    """

    def __init__(self) -> None:
        # its life is the shelf's own
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="focusrail-")  # noqa: SIM115
        self._size = 0
        self._view: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._brightness: dict[int, float] = {}
        self._places: dict[int, dict[str, _Place]] = {}
        self._taken: dict[int, FrameSurvey] = {}  # views, a few hundred bytes each

    def __setitem__(self, number: int, survey: FrameSurvey) -> None:
        places = {}
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(survey, name))
            self._size += -self._size % 16
            self._file.seek(self._size)
            self._file.write(array.tobytes())
            places[name] = _Place(self._size, array.dtype, array.shape)
            self._size += array.nbytes
        self._file.flush()
        self._places[number] = places
        self._brightness[number] = survey.brightness
        # what was looked at so far is let go: its pages would add up to all of the file while frame follows frame
        self._taken.clear()
        self._view = np.empty(0, np.uint8)

    def __getitem__(self, number: int) -> FrameSurvey:
        if number in self._taken:
            return self._taken[number]
        places = self._places[number]
        if self._view.nbytes < self._size:
            self._view = np.memmap(self._file, np.uint8, "r", shape=(self._size,))
        found = FrameSurvey(self._brightness[number], *(self._array(places[name]) for name in _ARRAYS))
        self._taken[number] = found
        return found

    def __delitem__(self, number: int) -> None:
        del self._places[number], self._brightness[number]
        self._taken.pop(number, None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Give the file back; idempotent. Surveys that were taken out stay readable."""
        self._file.close()

    def _array(self, place: _Place) -> NDArray[Any]:
        count = int(np.prod(place.shape, dtype=np.int64)) * place.dtype.itemsize
        part = self._view[place.offset : place.offset + count]
        return np.asarray(part).view(place.dtype).reshape(place.shape)
