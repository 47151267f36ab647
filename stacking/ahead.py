"""Work done ahead in threads, handed on in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

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


class Begun(Generic[T]):
    """Work begun for a few keys, in a thread of its own; each result is handed out once.

    Parameters
    ----------
    work : callable
    keys : iterable of int
        In the order of their work; each one once.
    """

    def __init__(self, work: Callable[[int], T], keys: Iterable[int]) -> None:
        pool = ThreadPoolExecutor(1, thread_name_prefix="begun")
        self._results = {key: pool.submit(work, key) for key in keys}
        pool.shutdown(wait=False)

    def take(self, key: int) -> T | None:
        """The result, or the error that it ended in, once it is there; None for a key that was not begun, or was taken."""
        result = self._results.pop(key, None)
        return None if result is None else result.result()

    def keep(self, keys: Collection[int]) -> None:
        """Let go of what will not be asked for: all but `keys`."""
        for key in self._results.keys() - set(keys):
            self._results.pop(key).cancel()
