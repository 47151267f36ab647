"""The RAW file of the simulated camera: an uncompressed Bayer DNG with a JPEG preview (Adobe DNG specification 1.4)."""

from __future__ import annotations

from capture.bench.exif import MAKER, MODEL, Directory, ShotTags, TagType, tiff
from capture.bench.sensor import BLACK_LEVEL, COLOUR_MATRIX_E4, WHITE_LEVEL, Mosaic, as_shot_neutral

_SUB_IFDS = 330


def write_dng(mosaic: Mosaic, tags: ShotTags, preview_jpeg: bytes, preview_px: tuple[int, int]) -> bytes:
    """A whole DNG file.

    Parameters
    ----------
    mosaic : ndarray, shape (rows, columns), uint16
        RGGB, `BLACK_LEVEL` to `WHITE_LEVEL`.
    preview_jpeg : bytes
        Becomes the first directory's one strip, which readers show as the thumbnail.
    preview_px : (int, int)
        Its width and height.

    Returns
    -------
    bytes
        The same for the same arguments.
    """
    rows, columns = mosaic.shape
    root = Directory(strip=preview_jpeg)
    root.put(254, TagType.LONG, 1)  # a reduced picture
    _picture(root, preview_px, (8, 8, 8), compression=7, photometric=6)
    root.put(530, TagType.SHORT, 2, 1)  # YCbCrSubSampling, as the preview's own 4:2:2
    root.put(531, TagType.SHORT, 1)
    root.put(532, TagType.RATIONAL, 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
    tags.into(root)
    root.put(50706, TagType.BYTE, 1, 4, 0, 0)
    root.put(50707, TagType.BYTE, 1, 1, 0, 0)
    root.put_text(50708, f"{MAKER} {MODEL}")
    root.put(50721, TagType.SRATIONAL, *(part for row in COLOUR_MATRIX_E4 for value in row for part in (value, 10_000)))
    neutral = [round(float(value) * 1_000_000) for value in as_shot_neutral()]
    root.put(50728, TagType.RATIONAL, *(part for value in neutral for part in (value, 1_000_000)))
    root.put(50730, TagType.SRATIONAL, 0, 1)  # BaselineExposure
    root.put(50778, TagType.SHORT, 21)  # CalibrationIlluminant1: D65
    root.put(50970, TagType.LONG, 2)  # PreviewColorSpace: sRGB

    raw = Directory(strip=mosaic.astype("<u2", copy=False).tobytes())
    raw.put(254, TagType.LONG, 0)
    _picture(raw, (columns, rows), (16,), compression=1, photometric=32803)
    raw.put(33421, TagType.SHORT, 2, 2)
    raw.put(33422, TagType.BYTE, 0, 1, 1, 2)
    raw.put(50710, TagType.BYTE, 0, 1, 2)
    raw.put(50711, TagType.SHORT, 1)
    raw.put(50713, TagType.SHORT, 1, 1)
    raw.put(50714, TagType.SHORT, BLACK_LEVEL)
    raw.put(50717, TagType.SHORT, WHITE_LEVEL)
    raw.put(50718, TagType.RATIONAL, 1, 1, 1, 1)
    raw.put(50719, TagType.LONG, 0, 0)
    raw.put(50720, TagType.LONG, columns, rows)
    root.children[_SUB_IFDS] = raw
    return tiff(root)


def _picture(
    directory: Directory, size_px: tuple[int, int], bits: tuple[int, ...], *, compression: int, photometric: int
) -> None:
    """The tags every baseline picture has, for one strip."""
    directory.put(256, TagType.LONG, size_px[0])
    directory.put(257, TagType.LONG, size_px[1])
    directory.put(258, TagType.SHORT, *bits)
    directory.put(259, TagType.SHORT, compression)
    directory.put(262, TagType.SHORT, photometric)
    directory.put(277, TagType.SHORT, len(bits))
    directory.put(278, TagType.LONG, size_px[1])
    directory.put(284, TagType.SHORT, 1)
