"""The layers of a stack: the fused picture, its slabs and source frames, on one canvas, with masks of what the fusion took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.aligned import aligned, aligned_luma, enlarged, focus_energy, reached
from stacking.colour import srgb_profile
from stacking.errors import FrameError, OutputError
from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas
from stacking.layer_options import LAYER_SUFFIXES
from stacking.writers import check_target, replacing
from stacking.writers_psd import PSD_LIMIT, Layer, fits, write_layered_tiff, write_psd

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
Reach = NDArray[np.bool_] | None

_MOST_UNASKED = 24
_POWER = 4


@dataclass(frozen=True, slots=True)
class LayerSources:
    """What the layers are made of.

    Attributes
    ----------
    fused : ndarray (rows, columns, 3), uint16
    canvas : Canvas
    registrations : mapping of int to Registration
        Of the frames used.
    decode : callable
        Index to image, as the engine decodes it, or the reason why there is none.
    names : sequence of str
        Of all frames, by index.
    slabs : sequence of (str, Path)
        Name and 16-bit TIFF of each slab of the first stage.
    icc : bytes or None
        Profile of the values; None means sRGB, and sRGB is embedded.
    """

    fused: U16
    canvas: Canvas
    registrations: Mapping[int, Registration]
    decode: Callable[[int], Pixels | str]
    names: Sequence[str]
    slabs: Sequence[tuple[str, Path]]
    icc: bytes | None


def write_layers(
    path: Path, sources: LayerSources, *, frames: int | tuple[int, ...] | None = None, force: bool = False
) -> list[str]:
    """Write a layered file: the fused picture at the bottom, hidden above it slabs and frames with their masks.

    Parameters
    ----------
    path : Path
        ``.psd`` (to 2 GB), ``.psb``, or ``.tif`` with a page for each layer.
    frames : int, tuple of int, or None
        How many source frames, evenly spread; 0: none; None: as many as there are and fit, at most 24; a tuple: the frames
        of these indices, as far as they were used.

    Returns
    -------
    list of str
        The layers' names, from the lowest.

    Raises
    ------
    OutputError
        Where it cannot be written, or is too large for a PSD.
    """
    check_target(path, force=force, suffixes=LAYER_SUFFIXES)
    size = (sources.canvas.width, sources.canvas.height)
    icc = sources.icc or srgb_profile()
    suffix = path.suffix.lower()
    large = suffix != ".psd"
    bottom = Layer("fused", True, False, lambda: (sources.fused, None))
    chosen = _chosen(sources, frames, None if large else PSD_LIMIT)
    used = sorted(sources.registrations)
    slab_masks: dict[int, U16] = {}
    frame_masks: dict[int, U16] = {}
    layers = [bottom]
    layers += [
        Layer(name, False, True, _with_mask(partial(_slab, p), slab_masks, n, size))
        for n, (name, p) in enumerate(sources.slabs)
    ]
    layers += [
        Layer(
            sources.names[k],
            False,
            True,
            _with_mask(partial(_frame, sources, k), frame_masks, used.index(k), size),
        )
        for k in chosen
    ]
    check_layers_fit(path, size, frames=len(chosen), slabs=len(sources.slabs))
    slab_masks |= _masks([partial(_slab_and_reach, p) for _, p in sources.slabs], range(len(sources.slabs)))
    frame_masks |= _masks([partial(_luma_and_reach, sources, k) for k in used], [used.index(k) for k in chosen])
    if suffix in (".psd", ".psb"):
        with replacing(path, force=force) as file:
            write_psd(file, size, layers, sources.fused, icc=icc, large=large)
    else:
        with replacing(path, force=force) as file:
            write_layered_tiff(file, size, layers, icc=icc)
    return [layer.name for layer in layers]


def check_layers_fit(path: Path, size: tuple[int, int], *, frames: int | None, slabs: int) -> None:
    """Refuse layers that a Photoshop file cannot hold.

    Parameters
    ----------
    size : (width, height)
        Of the picture.
    frames : int or None
        How many are layers; None: as many as fit.

    Raises
    ------
    OutputError
    """
    suffix = path.suffix.lower()
    masked = [False] + [True] * (slabs + (frames or 0))
    if suffix in (".psd", ".psb") and not fits(size, masked, large=suffix == ".psb"):
        raise OutputError(
            f"{path.name}: {len(masked)} layers of {size[0]}x{size[1]} do not fit into a {suffix[1:].upper()}",
            remedy="End the name in .psb or .tif, or give fewer frames with --layer-frames.",
        )


def _chosen(sources: LayerSources, wanted: int | tuple[int, ...] | None, limit: int | None) -> list[int]:
    """Frames that become layers: evenly spread, both ends with them."""
    used = sorted(sources.registrations)
    if isinstance(wanted, tuple):
        return [k for k in used if k in wanted]
    pixels = sources.canvas.width * sources.canvas.height * 2
    if wanted is None:
        wanted = min(len(used), _MOST_UNASKED)
        if limit is not None:
            wanted = max(0, min(wanted, (limit - (1 << 20)) // (4 * pixels) - len(sources.slabs) - 2))
    count = min(wanted, len(used))
    if count == 0:
        return []
    return [used[k] for k in sorted({round(n) for n in np.linspace(0, len(used) - 1, count)})]


def _decoded(sources: LayerSources, index: int) -> Pixels:
    image = sources.decode(index)
    if isinstance(image, str):
        raise FrameError(image, remedy="Leave it out, or start again.")
    return image


def _frame(sources: LayerSources, index: int) -> U16:
    """A frame on the canvas, as the fusion saw it."""
    return aligned(_decoded(sources, index), sources.registrations[index], sources.canvas)


def _luma_and_reach(sources: LayerSources, index: int) -> tuple[U16, Reach]:
    image, registration = _decoded(sources, index), sources.registrations[index]
    size = (image.shape[1], image.shape[0])
    return aligned_luma(image, registration, sources.canvas), reached(size, registration, sources.canvas)


def _slab(path: Path) -> U16:
    return np.asarray(tifffile.imread(path), np.uint16)


def _slab_and_reach(path: Path) -> tuple[U16, Reach]:
    return _slab(path), None


def _masks(pictures: Sequence[Callable[[], tuple[U16, Reach]]], kept: Sequence[int]) -> dict[int, U16]:
    """The share that each picture has in the fusion, of 65535, on a grid of every fourth pixel, of those in `kept`."""
    total: F32 | None = None
    weights: dict[int, F32] = {}
    if not kept:
        return {}
    for number, picture in enumerate(pictures):
        try:
            weight = focus_energy(*picture()) ** _POWER
        except FrameError:  # left out of the fusion as well
            continue
        total = weight.copy() if total is None else total + weight
        if number in kept:
            weights[number] = weight
    if total is None:
        return {}
    total[total == 0] = 1
    return {number: np.rint(weight / total * 65535).astype(np.uint16) for number, weight in weights.items()}


def _with_mask(
    picture: Callable[[], U16], masks: Mapping[int, U16], number: int, size: tuple[int, int]
) -> Callable[[], tuple[U16, U16 | None]]:
    def pixels() -> tuple[U16, U16 | None]:
        share = masks.get(number)
        if share is None:
            return picture(), None
        return picture(), enlarged(share, size)

    return pixels
