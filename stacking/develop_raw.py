"""Developing RAW files: one white balance, one black and one white level for the whole stack, no automatic brightness.

LibRaw reads every file, and is the reference for colour: what its own pipeline makes of a chart decides which camera matrix is
used. Bayer mosaics then take the fast path of `stacking.develop_mosaic`; everything else (linear DNG, X-Trans, other filters),
and the full quality, is developed by LibRaw with the same settings. Threads may develop at the same time; processes that do must
be spawned, since LibRaw's own threads do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from stacking.ahead import ahead
from stacking.colour import SRGB_TO_WIDE, SRGB_TO_XYZ_D65
from stacking.develop_defects import LEAST_FRAMES, Places, agreed, believed, repair, spread, suspects
from stacking.develop_mosaic import Mosaic, develop_mosaic, green_half
from stacking.develop_picture import FrameProbe, Gray, half, upright
from stacking.develop_structure import require_whole_tiff
from stacking.errors import FrameError
from stacking.frames import Pixels

_FLIP_TO_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}
_SRGB_GAMMA = (2.4, 12.92)  # LibRaw's way to say the sRGB curve
_FULL_SCALE = 65535
_COPY_AGAIN = "Copy it again from the camera, or leave it out."
_CHART_GRAY, _CHART_STEP, _CHART_PATCHES = 0.35, 1.4, 4
_SAME_MATRIX = 2e-3


@dataclass(frozen=True, slots=True)
class RawRendering:
    """The one development of a stack.

    Attributes
    ----------
    white_balance : tuple of 3 float
        Factors for red, green and blue, the smallest 1.
    black : tuple of 4 float
        Black level of red, green, blue and second green, in raw counts.
    white : float
        Raw count at which the sensor is full.
    matrix : ndarray, shape (3, 3), float64, or None
        White-balanced camera RGB to linear RGB of the output's primaries; None where LibRaw has to develop.
    defects : ndarray, shape (n, 2), int64
        Row and column of the sensor's defective pixels.
    wide : bool
        Whether the output has the primaries of ProPhoto RGB, else those of sRGB.
    """

    white_balance: tuple[float, float, float]
    black: tuple[float, float, float, float]
    white: float
    matrix: NDArray[np.float64] | None
    defects: Places = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    wide: bool = False

    @property
    def span(self) -> float:
        """Counts between black and white."""
        return self.white - max(self.black)

    def key(self) -> Hashable:
        """Equal where renderings are."""
        matrix = None if self.matrix is None else self.matrix.tobytes()
        return self.white_balance, self.black, self.white, matrix, self.defects.tobytes(), self.wide


def libraw_knows(path: Path) -> bool:
    """Whether LibRaw recognises a file as RAW."""
    try:
        with rawpy.RawPy() as raw:
            raw.open_file(str(path))
    except rawpy.LibRawError:
        return False
    return True


def probe_raw(path: Path) -> FrameProbe:
    """Size of a RAW, and whether it is whole, without unpacking it.

    Raises
    ------
    FrameError
        For what LibRaw does not know, and for a file that is cut short.
    """
    require_whole_tiff(path)
    with _errors_mapped(path), rawpy.RawPy() as raw:
        raw.open_file(str(path))
        sizes = raw.sizes
    orientation = _FLIP_TO_ORIENTATION.get(sizes.flip, 1)
    width, height = (sizes.iheight, sizes.iwidth) if orientation in (6, 8) else (sizes.iwidth, sizes.iheight)
    return FrameProbe(width, height, np.dtype(np.uint16), orientation)


def choose_rendering(path: Path) -> RawRendering:
    """The development of a stack, from its reference frame: as-shot white balance, daylight where none is recorded.

    Raises
    ------
    FrameError
        Where the file cannot be read.
    """
    with _unpacked(path) as raw:
        recorded = np.array(raw.camera_whitebalance, np.float64)[:3]
        if not _plausible(recorded):
            recorded = np.array(raw.daylight_whitebalance, np.float64)[:3]
        if not _plausible(recorded):
            recorded = np.ones(3)
        balance = recorded / recorded.min()
        levels = [float(level) for level in raw.black_level_per_channel]
        black = (levels[0], levels[1], levels[2], levels[3])
        rendering = RawRendering(tuple(balance.tolist()), black, float(raw.white_level), None)
        if _mosaic_of(raw) is None:
            return rendering
        return replace(rendering, matrix=_camera_matrix(raw, rendering))


def widened(rendering: RawRendering) -> RawRendering:
    """`rendering` with an output that holds the colours outside of sRGB; its curve stays that of sRGB."""
    matrix = None if rendering.matrix is None else SRGB_TO_WIDE @ rendering.matrix
    return replace(rendering, matrix=matrix, wide=True)


@dataclass(frozen=True, slots=True)
class Suspected:
    """Pixels of one mosaic that look defective, and how many pixels it has."""

    places: Places
    pixels: int


def suspected_defects(path: Path, span: float) -> Suspected | None:
    """What one RAW suspects; None where it cannot be read or is no Bayer mosaic. `span`: counts between black and white."""
    with suppress(FrameError), _unpacked(path) as raw:
        mosaic = _mosaic_of(raw)
        if mosaic is not None:
            return Suspected(suspects(mosaic.samples, span), mosaic.samples.size)
    return None


def with_defects(
    rendering: RawRendering,
    paths: Sequence[Path],
    look: Callable[[Path, float], Suspected | None] = suspected_defects,
    *,
    threads: int = 1,
) -> RawRendering:
    """`rendering` with the defective pixels that most of some frames, spread over `paths`, agree on.

    Frames that cannot be read are passed over. Fewer than three frames, and sensors without a Bayer mosaic, tell nothing.
    `look` stands in for `suspected_defects`, perhaps from memory; it is called in that many threads.
    """
    suspected: list[Places] = []
    pixels = 0
    frames = spread(len(paths)) if rendering.matrix is not None and len(paths) >= LEAST_FRAMES else ()
    with closing(ahead(lambda k: look(paths[k], rendering.span), frames, threads=threads, depth=threads)) as looked:
        for _, found in looked:
            if found is not None and pixels in (0, found.pixels):
                pixels = found.pixels
                suspected.append(found.places)
    places = agreed(suspected if len(suspected) >= LEAST_FRAMES else [], len(suspected))
    return replace(rendering, defects=believed(places, pixels))


def develop_raw(
    path: Path, rendering: RawRendering, probe: FrameProbe, *, full: bool, also: Sequence[Path] = ()
) -> Pixels:
    """Develop one RAW, or the average of several.

    Parameters
    ----------
    full : bool
        Take LibRaw's adaptive homogeneity-directed demosaic (Hirakawa and Parks 2005) for mosaics as well.
    also : sequence of Path
        Further exposures of the same place: the samples of all are averaged, before anything else, to whole counts.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint16, C-contiguous
        RGB with the curve of sRGB, upright.

    Raises
    ------
    FrameError
        Where the file cannot be read, or is not what `probe` found.
    """
    with _averaged(path, also) as raw:
        mosaic = None if rendering.matrix is None else _mosaic_of(raw)
        if mosaic is not None:
            repair(mosaic.samples, rendering.defects)
        if mosaic is not None and rendering.matrix is not None and not full:
            image = develop_mosaic(mosaic, rendering.white_balance, rendering.black, rendering.white, rendering.matrix)
        else:
            image = _developed_by_libraw(raw, rendering)
    image = upright(image, probe.orientation)
    if image.shape != (probe.height, probe.width, 3):
        raise FrameError(f"{path.name} develops to {image.shape[1]}x{image.shape[0]}", remedy=_COPY_AGAIN)
    return image


def raw_gray_half(path: Path, rendering: RawRendering, probe: FrameProbe, also: Sequence[Path] = ()) -> Gray:
    """The green of a RAW at half size, sRGB-encoded and upright: (height // 2, width // 2), uint8."""
    with _averaged(path, also) as raw:
        mosaic = _mosaic_of(raw) if probe.height % 2 == 0 and probe.width % 2 == 0 else None
        if mosaic is not None:
            repair(mosaic.samples, rendering.defects)
            green = green_half(mosaic, rendering.white_balance[1], rendering.black, rendering.white)
            return upright(green, probe.orientation)
        return half(upright(_developed_by_libraw(raw, rendering), probe.orientation))


@contextmanager
def _errors_mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except rawpy.LibRawFileUnsupportedError as error:
        raise FrameError(f"{path.name} is no RAW file that LibRaw knows", remedy="Convert it to DNG.") from error
    except rawpy.LibRawError as error:
        what = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise FrameError(f"{path.name} cannot be developed: {what}", remedy=_COPY_AGAIN) from error


@contextmanager
def _unpacked(path: Path) -> Iterator[Any]:
    with _errors_mapped(path), rawpy.RawPy() as raw:
        raw.open_file(str(path))
        raw.unpack()
        yield raw


@contextmanager
def _averaged(path: Path, also: Sequence[Path]) -> Iterator[Any]:
    """One unpacked RAW, whose samples are the averages of those of it and of `also`."""
    with _unpacked(path) as raw:
        if also:
            samples = _samples(raw, path)
            total = samples.astype(np.uint32)
            for other in also:
                with _unpacked(other) as one:
                    more = _samples(one, other)
                    if more.shape != samples.shape:
                        raise FrameError(f"{other.name} is not of the size of {path.name}", remedy=_COPY_AGAIN)
                    total += more
            count = 1 + len(also)
            samples[...] = (total + count // 2) // count
        yield raw


def _samples(raw: Any, path: Path) -> NDArray[np.uint16]:
    if raw.raw_type != rawpy.RawType.Flat:
        raise FrameError(
            f"{path.name} has several samples in each pixel: exposures of its kind are not averaged",
            remedy="Stack one exposure of each position.",
        )
    samples: NDArray[np.uint16] = raw.raw_image
    return samples


def _plausible(balance: NDArray[np.float64]) -> bool:
    """Whether a white balance was recorded. All ones are one: early cameras balanced before they wrote the file."""
    return bool(np.all(np.isfinite(balance)) and np.all(balance > 0))


def _mosaic_of(raw: Any) -> Mosaic | None:
    """The Bayer mosaic of an unpacked file; None for every other kind of RAW."""
    sizes = raw.sizes
    if raw.raw_type != rawpy.RawType.Flat or raw.num_colors != 3 or raw.raw_pattern is None:
        return None
    samples = raw.raw_image_visible
    if raw.raw_pattern.shape != (2, 2) or samples.shape != (sizes.iheight, sizes.iwidth) or sizes.pixel_aspect != 1:
        return None
    top, left = sizes.top_margin, sizes.left_margin
    sites = [raw.raw_color(top + row, left + column) for row in (0, 1) for column in (0, 1)]
    letters = raw.color_desc.decode()
    if sorted(letters[site] for site in sites) != ["B", "G", "G", "R"]:
        return None
    return Mosaic(samples, (sites[0], sites[1], sites[2], sites[3]), letters)


def _developed_by_libraw(raw: Any, rendering: RawRendering, **other: Any) -> NDArray[np.uint16]:
    red, green, blue = rendering.white_balance
    options: dict[str, Any] = {"gamma": _SRGB_GAMMA, **other}
    if tuple(float(level) for level in raw.black_level_per_channel) != rendering.black:
        options |= {"user_black": 0, "user_cblack": [round(level) for level in rendering.black]}
    if raw.white_level != rendering.white:
        options["user_sat"] = round(rendering.white)
    image = raw.postprocess(
        user_wb=[red, green, blue, green],
        output_color=rawpy.ColorSpace.ProPhoto if rendering.wide else rawpy.ColorSpace.sRGB,
        output_bps=16,
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
        user_flip=0,
        **options,
    )
    return np.asarray(image, np.uint16)


def _camera_matrix(raw: Any, rendering: RawRendering) -> NDArray[np.float64] | None:
    """White-balanced camera RGB to linear sRGB, the one LibRaw itself uses for this file; overwrites the samples.

    Files and LibRaw's tables may both hold a matrix, and LibRaw's choice has a history of exceptions. So it is asked: a chart of
    gray and three tinted patches takes the place of the picture and is developed. The candidate it agrees with is exact to the
    last digit; where none agrees, the measured matrix is good to about 1e-4.
    """
    mosaic = _mosaic_of(raw)
    if mosaic is None:
        return None
    scale = np.array(rendering.white_balance) / (rendering.white - max(rendering.black))
    patches = np.full((_CHART_PATCHES, 3), _CHART_GRAY)
    patches[np.arange(1, 4), np.arange(3)] *= _CHART_STEP
    rows = mosaic.samples.shape[0]
    height = rows // _CHART_PATCHES // 2 * 2
    if height < 16:
        return None
    sent = np.empty((_CHART_PATCHES, 3))
    for index, patch in enumerate(patches):
        band = mosaic.samples[index * height : (index + 1) * height]
        for site, letter, black in mosaic.phases(rendering.black):
            colour = "RGB".index(letter)
            count = round(black + patch[colour] / scale[colour])
            band[site // 2 :: 2, site % 2 :: 2] = count
            sent[index, colour] = (count - black) * scale[colour]
    out = _developed_by_libraw(raw, rendering, gamma=(1, 1), half_size=True).astype(np.float64) / _FULL_SCALE
    middle = out.shape[1] // 2
    got = np.array([out[int((index + 0.5) * height / 2), middle] for index in range(_CHART_PATCHES)])
    steps = np.diag(sent[1:] - sent[0])
    measured = ((got[1:] - got[0]) / steps[:, None]).T
    for candidate in _candidates(raw):
        if np.abs(candidate - measured).max() < _SAME_MATRIX:
            return candidate
    return np.asarray(measured / measured.sum(axis=1, keepdims=True))


def _candidates(raw: Any) -> Iterator[NDArray[np.float64]]:
    stored = np.array(raw.color_matrix, np.float64)[:3, :3]
    if np.any(stored):
        yield stored
    to_camera = np.array(raw.rgb_xyz_matrix, np.float64)[:3] @ SRGB_TO_XYZ_D65
    gains = to_camera.sum(axis=1, keepdims=True)
    if np.all(gains > 0):
        yield np.linalg.inv(to_camera / gains)
