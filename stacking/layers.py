"""The layers of a stack: the fused picture, its slabs and source frames, on one canvas, with masks of what the fusion took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.errors import FrameError, OutputError
from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas
from stacking.layer_options import LAYER_SUFFIXES
from stacking.writers import check_target, replacing
from stacking.writers_psd import PSD_LIMIT, Layer, fits, write_layered_tiff, write_psd

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]

_MOST_UNASKED = 24
_GRID = 4
_SPREAD_CELLS = 1.5
_POWER = 4
_NOISE = np.float32(4.0)
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


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
        Index to image, as the engine decodes it; raises `FrameError`.
    names : sequence of str
        Of all frames, by index.
    slabs : sequence of (str, Path)
        Name and 16-bit TIFF of each slab of the first stage.
    icc : bytes or None
    """

    fused: U16
    canvas: Canvas
    registrations: Mapping[int, Registration]
    decode: Callable[[int], Pixels]
    names: Sequence[str]
    slabs: Sequence[tuple[str, Path]]
    icc: bytes | None


def write_layers(path: Path, sources: LayerSources, *, frames: int | None = None, force: bool = False) -> list[str]:
    """Write a layered file: the fused picture at the bottom, hidden above it slabs and frames with their masks.

    Parameters
    ----------
    path : Path
        ``.psd`` (to 2 GB), ``.psb``, or ``.tif`` with a page for each layer.
    frames : int or None
        How many source frames, evenly spread; 0: none; None: as many as there are and fit, at most 24.

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
    suffix = path.suffix.lower()
    large = suffix != ".psd"
    bottom = Layer("fused", True, False, lambda: (sources.fused, None))
    chosen = _chosen(sources, frames, None if large else PSD_LIMIT)
    slab_masks = _masks([partial(_slab, p) for _, p in sources.slabs], range(len(sources.slabs)))
    used = sorted(sources.registrations)
    frame_masks = _masks([partial(_aligned, sources, k) for k in used], [used.index(k) for k in chosen])
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
            _with_mask(partial(_aligned, sources, k), frame_masks, used.index(k), size),
        )
        for k in chosen
    ]
    if suffix in (".psd", ".psb") and not fits(size, layers, large=large):
        raise OutputError(
            f"{path.name}: {len(layers)} layers of {size[0]}x{size[1]} do not fit into a {suffix[1:].upper()}",
            remedy="End the name in .psb or .tif, or give fewer frames with --layer-frames.",
        )
    if suffix in (".psd", ".psb"):
        with replacing(path, force=force) as file:
            write_psd(file, size, layers, sources.fused, icc=sources.icc, large=large)
    else:
        with TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.stem}.") as folder:
            beside = Path(folder) / "layers.tif"
            write_layered_tiff(beside, size, layers, icc=sources.icc)
            if path.exists() and not force:
                raise OutputError(f"{path} exists", remedy="Choose another name, or give --force to write over it.")
            beside.replace(path)
    return [layer.name for layer in layers]


def _chosen(sources: LayerSources, wanted: int | None, limit: int | None) -> list[int]:
    """Frames that become layers: evenly spread, both ends with them."""
    used = sorted(sources.registrations)
    pixels = sources.canvas.width * sources.canvas.height * 2
    if wanted is None:
        wanted = min(len(used), _MOST_UNASKED)
        if limit is not None:
            wanted = max(0, min(wanted, (limit - (1 << 20)) // (4 * pixels) - len(sources.slabs) - 2))
    count = min(wanted, len(used))
    if count == 0:
        return []
    return [used[k] for k in sorted({round(n) for n in np.linspace(0, len(used) - 1, count)})]


def _aligned(sources: LayerSources, index: int) -> U16:
    """A frame on the canvas, its brightness matched; black where it does not reach."""
    registration, canvas = sources.registrations[index], sources.canvas
    image = sources.decode(index)
    wide = image.astype(np.uint16) * np.uint16(257) if image.dtype == np.uint8 else image
    warped = cv2.warpAffine(
        wide,
        canvas.to_frame(registration.matrix),
        (canvas.width, canvas.height),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
    )
    gain = registration.gain.astype(np.float32)
    if not np.allclose(gain, 1.0, atol=1e-5):
        warped = np.clip(np.rint(warped * gain), 0, 65535)
    return np.asarray(warped, np.uint16)


def _slab(path: Path) -> U16:
    return np.asarray(tifffile.imread(path), np.uint16)


def _masks(pictures: Sequence[Callable[[], U16]], kept: Sequence[int]) -> dict[int, F32]:
    """The share that each picture has in the fusion, on a grid of every fourth pixel, of those in `kept`."""
    total: F32 | None = None
    weights: dict[int, F32] = {}
    if not kept:
        return weights
    for number, picture in enumerate(pictures):
        try:
            weight = _weight(picture())
        except FrameError:  # left out of the fusion as well
            continue
        total = weight.copy() if total is None else total + weight
        if number in kept:
            weights[number] = weight
    return {} if total is None else {number: weight / total for number, weight in weights.items()}


def _weight(picture: U16) -> F32:
    """A high power of the focus energy, as the fusion weighs."""
    luma = np.asarray(cv2.transform(picture.astype(np.float32), _LUMA), np.float32) * np.float32(1 / 257)
    detail = cv2.Laplacian(luma, cv2.CV_32F)
    rows, columns = luma.shape
    size = (-(-columns // _GRID), -(-rows // _GRID))
    energy = cv2.GaussianBlur(cv2.resize(detail * detail, size, interpolation=cv2.INTER_AREA), (0, 0), _SPREAD_CELLS)
    scaled = (np.asarray(energy, np.float32) + _NOISE) * np.float32(1e-3)
    return np.asarray(scaled**_POWER, np.float32)


def _with_mask(
    picture: Callable[[], U16], masks: Mapping[int, F32], number: int, size: tuple[int, int]
) -> Callable[[], tuple[U16, U16 | None]]:
    def pixels() -> tuple[U16, U16 | None]:
        share = masks.get(number)
        if share is None:
            return picture(), None
        full = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_LINEAR), np.float32)
        return picture(), np.rint(np.clip(full, 0, 1) * 65535).astype(np.uint16)

    return pixels
