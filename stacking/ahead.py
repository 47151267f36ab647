"""Work done ahead in threads, handed on in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(
    work: Callable[[int], T], indices: Iterable[int], *, threads: int, depth: int
) -> Generator[tuple[int, T], None, None]:
    """Do ``work`` for each index in threads, at most ``depth`` results ahead of the one handed on.

    Closing the iterator, or an error in it, cancels what has not begun and waits for what has.

    Yields
    ------
    (index, result) in the order of the indices.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[tuple[int, Future[T]]] = deque()
    try:
        for index in indices:
            waiting.append((index, pool.submit(work, index)))
            if len(waiting) > depth:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next(waiting: deque[tuple[int, Future[T]]]) -> tuple[int, T]:
    # A function, so that no reference to the result is left in the generator.
    index, future = waiting.popleft()
    return index, future.result()
