from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacking.order import Order, natural_key, ordered

T = TypeVar("T")


def reversed_copy(row: list[T]) -> list[T]:
    return list(reversed(row))


@pytest.mark.parametrize(
    "row",
    [
        ["FS-1", "FS-2", "FS-10"],
        ["a1b2", "a1b10", "a2b1"],
        ["IMG_9.jpg", "img_10.JPG", "IMG_11.jpg"],
        ["1", "a"],
        ["DSC_0999", "DSC_1000", "DSC_10000"],
        ["stack 1 (2)", "stack 1 (10)", "stack 2 (1)"],
        ["ä1", "ä2"],
    ],
)
def test_names_are_counted_as_people_do(row: list[str]) -> None:
    assert sorted(reversed_copy(row), key=natural_key) == row


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.text(max_size=6), st.integers(0, 4))
def test_a_larger_number_comes_later_whatever_stands_before_it(a: int, b: int, before: str, zeros: int) -> None:
    before = before.rstrip("0123456789") + "_"
    assert (natural_key(f"{before}{a:0{zeros}d}") < natural_key(f"{before}{b}")) == (a < b) or a == b


@given(st.lists(st.text(max_size=12), unique=True))
def test_the_order_is_total(names: list[str]) -> None:
    keys = [natural_key(name) for name in names]
    assert sorted(keys) == sorted(reversed_copy(keys))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(-1, 11))
def test_time_decides_only_where_every_time_is_known_and_single(seconds: list[int], unknown: int) -> None:
    start = datetime(2024, 1, 1)  # noqa: DTZ001
    paths = [Path(f"f{index}.jpg") for index in range(len(seconds))]
    times: dict[Path, datetime | None] = {
        path: start + timedelta(seconds=second) for path, second in zip(paths, seconds, strict=True)
    }
    if 0 <= unknown < len(paths):
        times[paths[unknown]] = None
    found, order = ordered(list(reversed(paths)), lambda path: path, lambda path: times[path])
    if order is Order.TIME:
        assert len(paths) > 1
        known = [time for path in found if (time := times[path]) is not None]
        assert known == sorted(set(known))
        assert len(known) == len(paths)
    else:
        assert found == paths
        assert None in times.values() or len(set(seconds)) < len(seconds) or len(paths) == 1
