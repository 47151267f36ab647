"""What a run needs of memory, what it may take, and what it took."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stacking.errors import MemoryBudgetError

# The interpreter with numpy, OpenCV and the compiled loops, and what its allocator keeps between frames.
_PROGRAM_BYTES = 230 << 20
# Freed memory that the allocator keeps from one strip to the next.
_STRIPS_BYTES = 64 << 20


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
    frame_bytes_per_pixel: float,
    fusion_bytes_per_pixel: float,
    result_bytes_per_pixel: float,
    apron_rows: int,
    allowed_bytes: int | None,
) -> MemoryPlan:
    """Cut the canvas into as few strips as the allowed memory asks for.

    Parameters
    ----------
    pixels, rows : int
        Of the canvas.
    frame_bytes_per_pixel : float
        Frames held decoded at one time.
    fusion_bytes_per_pixel : float
        Running sums and working planes, per pixel of the strip with its aprons.
    result_bytes_per_pixel : float
        The whole result.
    apron_rows : int
        Rows that a strip needs beyond its own on each inner side.
    allowed_bytes : int or None
        None: no limit.

    Raises
    ------
    MemoryBudgetError
        Where not even the thinnest strips fit.
    """
    fixed = _PROGRAM_BYTES + pixels * (frame_bytes_per_pixel + result_bytes_per_pixel)
    columns = pixels / rows
    strips = 1
    while True:
        height = rows if strips == 1 else min(rows, -(-rows // strips) + 2 * apron_rows)
        # A strip's result is copied into the whole.
        own_result, kept = (0.0, 0) if strips == 1 else (result_bytes_per_pixel, _STRIPS_BYTES)
        needed = int(fixed + columns * height * (fusion_bytes_per_pixel + own_result)) + kept
        if allowed_bytes is None or needed <= allowed_bytes:
            return MemoryPlan(strips, needed)
        if rows // (strips + 1) < apron_rows:
            raise MemoryBudgetError(
                f"these frames need {needed >> 20} MiB, and {allowed_bytes >> 20} MiB are allowed",
                remedy=f"Allow at least {(needed >> 20) + 1} MiB, or give smaller pictures.",
            )
        strips += 1


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
