"""What a run needs of memory, what it may take, and what it took."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stacking.errors import MemoryBudgetError

# The interpreter with numpy, OpenCV and the compiled loops, and what is known of the frames.
_PROGRAM_BYTES = 200 << 20
_PICTURE_BYTES_PER_PIXEL = 6
_CROPPED_SHARE = 10
# So many are named beside the most there can be: every strip decodes all frames once more.
_FEW_STRIPS = 2
# glibc's names; larger planes go back to the system as soon as they are freed (by default the bound grows to 32 MiB).
_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1
_LARGEST_KEPT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How a picture is cut so that a run stays within its memory.

    Attributes
    ----------
    strips : int
        Horizontal strips the canvas is fused in; every strip reads all frames again.
    bytes_needed : int
        The peak that was reckoned with.
    """

    strips: int
    bytes_needed: int


def plan_memory(
    pixels: int,
    rows: int,
    *,
    held_bytes: int,
    strip_bytes_per_pixel: float,
    after_bytes: int,
    apron_rows: int,
    allowed_bytes: int | None,
) -> MemoryPlan:
    """Cut the canvas into as few strips as the allowed memory asks for.

    Parameters
    ----------
    pixels, rows : int
        Of the canvas.
    held_bytes : int
        What is held while frames are fused, however the canvas is cut: frames decoded at one time, sums of the whole canvas.
    strip_bytes_per_pixel : float
        Running sums and working planes, per pixel of the strip with its aprons.
    after_bytes : int
        What is needed once frames and sums are gone.
    apron_rows : int
        Rows that a strip needs beyond its own on each inner side.
    allowed_bytes : int or None
        None: no limit.

    Raises
    ------
    MemoryBudgetError
        Where no number of strips fits; the remedy names memory in which one does.
    """
    row_pixels = pixels / rows

    def needed(rows: int, strips: int) -> int:
        height = rows if strips == 1 else min(rows, -(-rows // strips) + 2 * apron_rows)
        # a strip's picture is copied into the whole one
        joined = 0 if strips == 1 else _PICTURE_BYTES_PER_PIXEL * pixels
        fusing = held_bytes + joined + int(row_pixels * height * strip_bytes_per_pixel)
        return _PROGRAM_BYTES + max(fusing, after_bytes)

    most = max(1, rows // apron_rows)
    for strips in range(1, most + 1):
        if allowed_bytes is None or needed(rows, strips) <= allowed_bytes:
            return MemoryPlan(strips, needed(rows, strips))
    assert allowed_bytes is not None
    # What is left after a crop may divide into a strip less, which is then thicker: the figure has to do for that, too.
    heights = range(max(1, rows - rows // _CROPPED_SHARE), rows + 1)

    def enough(strips: int) -> int:
        """Memory in MiB for at most that many strips."""
        return -(
            -max(min(needed(h, k) for k in range(1, min(strips, max(1, h // apron_rows)) + 1)) for h in heights) >> 20
        )

    least, better = enough(most), enough(_FEW_STRIPS)
    faster = f" (with {better} MiB it is up to four times as fast)" if better > least else ""
    raise MemoryBudgetError(
        f"these frames need {least} MiB, and {allowed_bytes >> 20} MiB are allowed",
        remedy=f"Allow at least {least} MiB{faster}, or give smaller pictures.",
        least_bytes=least << 20,
    )


def bound_allocator() -> None:
    """Tell the allocator (glibc) not to keep a heap for every thread: some twenty MiB less."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def keep_freed(*, planes: bool) -> None:
    """Tell the allocator (glibc) whether freed `planes` are kept for the next of their size.

    While frame follows frame they are: to clear new memory for each takes a fifth of the CPU time. What is made once, at the end, gives
    its memory back at once: some fifty MiB less.
    """
    largest = _LARGEST_KEPT_BYTES if planes else _LARGEST_KEPT_BYTES // 4
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, largest)
        # twice the other, as glibc has it by itself until one of the two is set
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * largest)


def return_freed_memory() -> None:
    """Give back what the allocator keeps of freed memory, where it can be told to (glibc): some tens of MiB after the registration."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_rss_bytes() -> int:
    """The most memory this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def available_bytes() -> int:
    """Memory that can be had now without anything being put out to the disk."""
    found = Path("/proc/meminfo")
    if found.exists():
        for line in found.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
