"""Small pictures for the tests: scenes, files with EXIF, and DNGs whose truth is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import exiv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

# XYZ (D65) to a camera whose colours are not those of sRGB.
CAMERA = np.array([[0.7866, -0.2108, -0.0555], [-0.4869, 1.2483, 0.2681], [-0.1176, 0.2069, 0.7501]])
SRGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
BLACK, WHITE = 512, 16383


def scene(rows: int, columns: int, seed: int = 1) -> NDArray[np.float64]:
    """Encoded RGB between 0 and 1: soft colours, fine grain, hard edges."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((rows // 12, columns // 12, 3)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.random((rows, columns)), (0, 0), 1.3)[..., None] - 0.5
    image = 0.15 + 0.6 * coarse + fine
    cv2.line(image, (5, rows - 9), (columns - 7, 6), (0.05, 0.05, 0.06), 3, cv2.LINE_AA)
    cv2.circle(image, (columns // 3, rows // 2), rows // 5, (0.8, 0.75, 0.3), 2, cv2.LINE_AA)
    return np.clip(image, 0.02, 0.97)


def as_bits(image: NDArray[np.float64], bits: int) -> NDArray[np.uint16] | NDArray[np.uint8]:
    top = (1 << bits) - 1
    return np.rint(image * top).astype(np.uint8 if bits == 8 else np.uint16)


def linear(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def write_jpeg(path: Path, image: NDArray[np.uint8], **options: object) -> Path:
    path.write_bytes(imagecodecs.jpeg8_encode(image, **{"level": 95, **options}))
    return path


def add_exif(path: Path, **tags: str) -> Path:
    """Write EXIF: `Image_Make="X"` is Exif.Image.Make; values in exiv2's way of writing."""
    image = exiv2.ImageFactory.open(str(path))
    image.readMetadata()
    exif = image.exifData()
    for name, value in tags.items():
        exif[f"Exif.{name.replace('_', '.', 1)}"] = value
    image.writeMetadata()
    return path


def mosaic_of(
    encoded: NDArray[np.float64], *, exposure: float = 0.8, red_at: tuple[int, int] = (0, 0)
) -> NDArray[np.uint16]:
    """What a camera with a Bayer sensor records of a scene, without noise."""
    to_camera = CAMERA @ SRGB
    light = linear(encoded) @ to_camera.T / to_camera.sum(1).max() * exposure
    rows, columns = np.indices(encoded.shape[:2])
    colour = ((rows + red_at[0]) & 1) + ((columns + red_at[1]) & 1)
    sampled = np.take_along_axis(light, colour[..., None], axis=-1)[..., 0]
    return np.clip(np.rint(sampled * (WHITE - BLACK) + BLACK), 0, WHITE).astype(np.uint16)


def write_dng(
    path: Path,
    samples: NDArray[np.uint16],
    *,
    red_at: tuple[int, int] = (0, 0),
    orientation: int = 1,
    neutral: NDArray[np.float64] | None = None,
    black: int = BLACK,
) -> Path:
    """A DNG of a Bayer mosaic, or of linear RGB where `samples` has three channels."""
    white = (CAMERA @ SRGB).sum(1)
    neutral = white / white.max() if neutral is None else neutral
    rationals = [part for value in CAMERA.ravel() for part in (round(value * 10000), 10000)]
    neutrals = [part for value in neutral for part in (round(value * 1000000), 1000000)]
    pattern = bytes(((row + red_at[0]) & 1) + ((column + red_at[1]) & 1) for row in (0, 1) for column in (0, 1))
    channels = 1 if samples.ndim == 2 else 3
    tags: list[tuple[int, int, int | None, object, bool]] = [
        (271, 2, None, b"Maker\0", True),
        (272, 2, None, b"Body\0", True),
        (274, 3, 1, orientation, True),
        (50706, 1, 4, b"\1\4\0\0", True),
        (50707, 1, 4, b"\1\1\0\0", True),
        (50708, 2, None, b"Maker Body\0", True),
        (50721, 10, 9, rationals, True),
        (50728, 5, 3, neutrals, True),
        (50778, 3, 1, 21, True),
        (50714, 3, channels, (black,) * channels, True),
        (50717, 3, channels, (WHITE,) * channels, True),
    ]
    if channels == 1:
        tags += [(33421, 3, 2, (2, 2), True), (33422, 1, 4, pattern, True), (50711, 3, 1, 1, True)]
    tifffile.imwrite(
        path,
        samples,
        photometric=32803 if channels == 1 else 34892,
        planarconfig=None if channels == 1 else "contig",
        metadata=None,
        extratags=tags,
        subfiletype=0,
        software=False,
    )
    return path
