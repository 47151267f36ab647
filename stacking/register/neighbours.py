"""The match of each frame with the one before it, made ahead in a thread of its own: half of the registration's work."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from stacking.ahead import ahead
from stacking.register.features import Features
from stacking.register.matching import Match, MatchQuery

Measured = tuple[int, Features | str]


class NeighboursAhead:
    """Answers :class:`MatchQuery` as `matcher` does; a frame and its neighbour are matched before anyone asks.

    Parameters
    ----------
    size : (int, int)
        Width and height of every frame, pixels.
    matcher : callable
        Must answer by the query alone, in any thread.
    still : bool
        Both are taken to lie still.
    """

    def __init__(self, size: tuple[int, int], matcher: Callable[[MatchQuery], Match | None], *, still: bool) -> None:
        self._size = size
        self._still = still
        self._matcher = matcher
        self._last: Features | None = None
        self._known: dict[tuple[int, int], Match | None] = {}

    def passing(self, measured: Iterable[Measured]) -> Generator[Measured, None, None]:
        """What was measured of the frames, in their order, each once its neighbour is matched.

        Closing the iterator, or an error in it, waits for what has begun.
        """
        at_hand: dict[int, tuple[int, Features | str, Features | None]] = {}
        with_neighbours = ahead(
            lambda k: self._matched(*at_hand[k][1:]), self._numbered(measured, at_hand), threads=1, depth=1
        )
        try:
            for number, match in with_neighbours:
                index, found, before = at_hand.pop(number)
                if before is not None:
                    self._known = {(before.index, index): match}
                yield index, found
        finally:
            with_neighbours.close()

    def match(self, query: MatchQuery) -> Match | None:
        """Answer a query, at once where it is the one that was foreseen."""
        pair = query.old.index, query.new.index
        foreseen = query.known is None and query.thorough and not query.alike and query.still == self._still
        return self._known[pair] if foreseen and pair in self._known else self._matcher(query)

    def _numbered(
        self, measured: Iterable[Measured], at_hand: dict[int, tuple[int, Features | str, Features | None]]
    ) -> Iterator[int]:
        for number, (index, found) in enumerate(measured):
            matched = not isinstance(found, str) and not found.blank
            at_hand[number] = index, found, self._last if matched else None
            if isinstance(found, Features) and matched:
                self._last = found
            yield number

    def _matched(self, found: Features | str, before: Features | None) -> Match | None:
        if before is None or isinstance(found, str):
            return None
        return self._matcher(MatchQuery(before, found, self._size, still=self._still))
