"""Memory of the registration: kept with fewer threads, or refused before anything is decoded."""

from pathlib import Path

import pytest

from stacking.checks import check_frames
from stacking.errors import MemoryBudgetError
from stacking.options import Crop, StackOptions
from stacking.register.memory import registration_bytes, registration_threads

SIZE = (1500, 1000)


def test_as_many_threads_measure_frames_as_the_memory_allows() -> None:
    for threads in (1, 2, 3, 4):
        needed = registration_bytes(SIZE, 1, threads)
        assert registration_threads(SIZE, 1, 4, needed) == threads
        assert registration_threads(SIZE, 1, 4, needed - 1) == max(1, threads - 1)
    assert registration_threads(SIZE, 1, 4, None) == 4


@pytest.mark.parametrize(("size", "peak_mib"), [((670, 446), 182), (SIZE, 244)])
def test_the_least_memory_is_that_of_the_registration_where_it_takes_more(size: tuple[int, int], peak_mib: int) -> None:
    """Peaks measured with the least that is named, 30 frames."""

    def check(memory_bytes: int) -> None:
        check_frames(StackOptions(memory_bytes=memory_bytes), frames=30, size=size, sample_bytes=1, threads=2)

    with pytest.raises(MemoryBudgetError) as refused:
        check(1 << 20)
    least = refused.value.least_bytes
    assert f"at least {least >> 20} MiB" in refused.value.remedy
    assert least >> 20 > peak_mib
    assert least >= registration_bytes(size, 1, 1)
    check(least)
    with pytest.raises(MemoryBudgetError):
        check(least - (1 << 20))


@pytest.mark.parametrize("size", [(3000, 2000), (1300, 1000)])
def test_the_least_memory_with_depth_is_enough_for_what_a_crop_leaves(size: tuple[int, int]) -> None:
    """A picture a little smaller has four times the cells."""

    def least(rows: int, crop: Crop) -> int:
        options = StackOptions(memory_bytes=1 << 20, depth=Path("d.tif"), crop=crop)
        with pytest.raises(MemoryBudgetError) as refused:
            check_frames(options, frames=10, size=(size[0], rows), sample_bytes=1, threads=2)
        return refused.value.least_bytes

    cropped = max(least(round(size[1] * share), Crop.NONE) for share in (0.85, 0.9, 0.95))
    assert least(size[1], Crop.NONE) < cropped <= least(size[1], Crop.AUTO)
