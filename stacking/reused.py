"""Arrays whose memory is used again once nobody looks at them any more.

A frame of 12 megapixels takes 36 MB. Memory of that size goes back to the system when it is freed, and comes from it cleared when the
next frame asks for it: a fifteenth of a whole stack's CPU time.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ReusedArrays:
    """Lends arrays; keeps the memory of the last one that was given up, and lends it again. Several threads may ask."""

    def __init__(self) -> None:
        self._idle: NDArray[np.uint8] | None = None
        self._lock = threading.RLock()  # a loan may be given up by a search for garbage within a call

    def lend(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array with whatever was in it, C-contiguous; its memory is lent again when it and all views of it are gone."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            memory, self._idle = self._idle, None
        if memory is None or memory.size != size:
            memory = np.empty(size, np.uint8)
        # numpy's views refer to the owner of the memory, whatever object that is: the last of them lets go of the loan
        lent = np.asarray(_Loan(self, memory))
        return lent.view(dtype).reshape(shape)

    def let_go(self) -> None:
        """Give back the memory that is kept."""
        with self._lock:
            self._idle = None

    def take_back(self, memory: NDArray[np.uint8]) -> None:
        """Keep memory that nobody looks at any more."""
        with self._lock:
            self._idle = memory


class _Loan:
    def __init__(self, lender: ReusedArrays, memory: NDArray[np.uint8]) -> None:
        self._lender, self._memory = lender, memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._lender.take_back(self._memory)
