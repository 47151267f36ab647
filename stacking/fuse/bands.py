"""Rows shared out among threads. Every pixel is computed alike whatever the bands, so the bytes do not depend on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Self, TypeVar

from stacking.ahead import ahead
from stacking.fuse.compiled import Loop

T = TypeVar("T")
_FEWEST_ROWS = 128
# Bands for each thread: decoding takes a core now and then, and whoever is free takes the next band.
_SHARES = 4


class Bands:
    """A pool of threads that runs one loop over bands of rows.

    Parameters
    ----------
    threads : int or None
        None: one per core this process may use.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads if threads is not None else len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="fuse") if self.threads > 1 else None

    def run(self, rows: int, *loops: Callable[[int, int], None]) -> None:
        """Call ``loop(first, stop)`` on bands that cover ``rows`` rows, each starting at an even one; wait for all.

        Several loops follow each other on each band, and must not depend on another band's.
        """
        count = min(self.threads * _SHARES, max(1, rows // _FEWEST_ROWS))
        if self._pool is None or count == 1:
            _each(loops, 0, rows)
            return
        edges = [2 * (rows * k // (2 * count)) for k in range(count)] + [rows]
        running = [self._pool.submit(_each, loops, a, b) for a, b in pairwise(edges)]
        for band in running:
            band.result()

    def beside(self, call: Callable[[], T]) -> Callable[[], T]:
        """Begin ``call`` on a thread of its own; what is returned waits for its result."""
        if self._pool is None:
            value = call()
            return lambda: value
        return self._pool.submit(call).result

    def in_order(self, work: Callable[[int], T], count: int) -> Generator[tuple[int, T], None, None]:
        """``work`` of 0 to ``count`` - 1 on the threads, handed on in order, with its number; at most one for each thread waits."""
        return ahead(work, range(count), threads=self.threads, depth=self.threads)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _each(loops: Sequence[Callable[[int, int], None]], first: int, stop: int) -> None:
    for loop in loops:
        loop(first, stop)


def rows_of(loop: Loop, *values: object) -> Callable[[int, int], None]:
    """A compiled loop with all its values but the rows, for :meth:`Bands.run`."""
    return loop.over_rows(*values)
