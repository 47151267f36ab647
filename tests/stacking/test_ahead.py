"""Work begun before it is asked for."""

from __future__ import annotations

import pytest

from stacking.ahead import Begun
from stacking.errors import FrameError


def test_what_was_begun_is_handed_out_once() -> None:
    asked: list[int] = []

    def work(key: int) -> str:
        asked.append(key)
        return f"result {key}"

    begun = Begun(work, [3, 0, 1])
    assert begun.take(0) == "result 0"
    assert begun.take(0) is None
    assert begun.take(7) is None
    begun.keep([1])
    assert begun.take(3) is None
    assert begun.take(1) == "result 1"
    assert asked[:2] == [3, 0]


def test_an_error_comes_to_who_takes_the_result() -> None:
    def work(key: int) -> str:
        raise FrameError(f"frame {key} is torn")

    begun = Begun(work, [2])
    with pytest.raises(FrameError, match="frame 2 is torn"):
        begun.take(2)
    assert begun.take(2) is None
