"""What the registration needs of memory, and how many frames it may measure at once."""

from __future__ import annotations

from stacking.errors import MemoryBudgetError
from stacking.register.features import DETECT_PIXELS
from stacking.register.registrar import Registrar

# The interpreter with numpy and OpenCV, and what the allocator keeps of freed planes.
_PROGRAM_BYTES = 170 << 20
# Of a luma as it is registered: those of the frames that more are matched with and that wait, and derivatives of two matches at once.
_HELD_BYTES_PER_PIXEL = 32
# Of the largest luma that corners are looked for in: gradients, their products, eigenvalues.
_CORNERS_BYTES_PER_PIXEL = 28


def registration_bytes(size: tuple[int, int], sample_bytes: int, threads: int) -> int:
    """The peak of the registration, measured for 0.3 to 12 MP and 1 to 4 threads (docs/algorithms.md).

    Parameters
    ----------
    size : (width, height)
        Of every frame, pixels.
    sample_bytes : int
        1 or 2.
    threads : int
        That measure frames.
    """
    pixels = size[0] * size[1]
    luma = pixels if Registrar.wants_full(size) else pixels // 4
    # only the first power of two below the bound counts
    searched = luma if luma <= DETECT_PIXELS else luma // 4
    one = 3 * sample_bytes * pixels + _CORNERS_BYTES_PER_PIXEL * min(searched, DETECT_PIXELS)
    return _PROGRAM_BYTES + _HELD_BYTES_PER_PIXEL * luma + threads * one


def registration_threads(size: tuple[int, int], sample_bytes: int, threads: int, allowed_bytes: int | None) -> int:
    """So many of `threads` as may measure frames within the memory allowed (None: no limit); one at least."""
    if allowed_bytes is None:
        return threads
    fit = (n for n in range(threads, 1, -1) if registration_bytes(size, sample_bytes, n) <= allowed_bytes)
    return next(fit, 1)


def check_registration_memory(size: tuple[int, int], sample_bytes: int, allowed_bytes: int | None) -> None:
    """Refuse memory in which not even one thread can register frames.

    Raises
    ------
    MemoryBudgetError
    """
    least = -(-registration_bytes(size, sample_bytes, 1) >> 20)
    if allowed_bytes is not None and allowed_bytes < least << 20:
        raise MemoryBudgetError(
            f"to register these frames needs {least} MiB, and {allowed_bytes >> 20} MiB are allowed",
            remedy=f"Allow at least {least} MiB, or give smaller pictures.",
            least_bytes=least << 20,
        )
