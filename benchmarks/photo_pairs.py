"""Pairs of frames with pixel truth, made of photographs: each frame sharp where the other is blurred.

A photograph is the truth. A mask of varied outline (smooth blobs, polygons, the photograph's own regions) parts it in near and
far. The near frame has the far part blurred, and the far frame the near part; blur is a disc or a Gaussian of varied width, and
the border between the two is as sharp as the mask, feathered, or spread by the blur of what lies in front. Frames lie exactly on
each other and have 8 bits without added noise: what is measured is the choice of pixels alone.

    python -m benchmarks.photo_pairs PHOTOS WORK [--pairs 25] [--seed 1]

makes the pairs in WORK, stacks each with `--align none` and prints the mean PSNR of the result, of the plain average, of a
textbook pyramid (largest coefficient by a 5x5 window's energy) and of the ceiling (per pixel the frame closer to the truth).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_LEVELS = 5


@dataclass(frozen=True, slots=True)
class PairScore:
    """PSNR against the truth in dB, over all pixels and channels."""

    name: str
    average: float
    textbook: float
    ceiling: float
    result: float


def make_pair(photo: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The near and the far frame of a photograph, shape (rows, columns, 3)."""
    rng = np.random.default_rng([seed, 0xFACE])
    mask = _MASKS[int(rng.integers(len(_MASKS)))](photo, rng)
    spread = _blur_of(rng, max(photo.shape[:2]))
    truth = photo.astype(np.float32)
    blurred = spread(truth)
    border = float(rng.random())
    if 0.5 < border < 0.75:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 1.5))), np.float32)
    alpha = mask[..., None]
    near = alpha * truth + (1.0 - alpha) * blurred
    far = (1.0 - alpha) * truth + alpha * blurred
    if border >= 0.75:
        # the near part's blur lies over the far part, as behind a lens
        veil = spread(mask)[..., None]
        own = spread(alpha * truth)
        far = own + (1.0 - veil) * truth
    return _eight_bit(near), _eight_bit(far)


def _blobs(photo: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    rows, columns = photo.shape[:2]
    cells = int(rng.integers(3, 9))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    smooth = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth > np.median(smooth), np.float32)


def _polygons(photo: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    rows, columns = photo.shape[:2]
    mask = np.zeros((rows, columns), np.uint8)
    for _ in range(int(rng.integers(2, 6))):
        corners = int(rng.integers(3, 8))
        angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, corners))
        radius = rng.uniform(0.1, 0.35, corners) * min(rows, columns)
        centre = rng.uniform(0.1, 0.9, 2) * (columns, rows)
        points = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(mask, np.float32) / np.float32(255.0)


def _regions(photo: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """Outlines that follow the photograph's own edges: its smoothed colours in two groups."""
    small = cv2.GaussianBlur(photo, (0, 0), float(rng.uniform(3.0, 8.0)))
    rows, columns = photo.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    places = np.stack([x / columns, y / rows], 2) * np.float32(rng.uniform(20.0, 120.0))
    samples = np.concatenate([small.astype(np.float32), places], 2).reshape(-1, 5)
    direction = rng.standard_normal(5).astype(np.float32)
    along = (samples @ direction).reshape(rows, columns)
    mask = (along > np.median(along)).astype(np.uint8)
    return np.asarray(cv2.medianBlur(mask, 9), np.float32)


_MASKS: tuple[Callable[[NDArray[np.uint8], np.random.Generator], Floats], ...] = (_blobs, _polygons, _regions)


def _blur_of(rng: np.random.Generator, size: int) -> Callable[[Floats], Floats]:
    radius = float(rng.uniform(0.004, 0.016)) * size
    if rng.random() < 0.5:
        return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.6 * radius), np.float32)
    disc = _disc(radius)
    return lambda picture: np.asarray(cv2.filter2D(picture, -1, disc, borderType=cv2.BORDER_REFLECT), np.float32)


def _disc(radius: float) -> Floats:
    reach = int(np.ceil(radius + 0.5))
    fine = 9
    centres = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (centres[:, None] ** 2 + centres[None] ** 2 <= radius * radius).astype(np.float32)
    sums = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).sum((1, 3))
    return np.asarray(sums / sums.sum(), np.float32)


def average(near: NDArray[np.uint8], far: NDArray[np.uint8]) -> Floats:
    """The plain mean."""
    return np.asarray(0.5 * (near.astype(np.float32) + far), np.float32)


def textbook(near: NDArray[np.uint8], far: NDArray[np.uint8]) -> Floats:
    """A Laplacian pyramid per channel; each coefficient from the frame with more energy in its 5x5 window, the base the mean."""
    stacks = [_laplacian(frame.astype(np.float32)) for frame in (near, far)]
    fused: list[Floats] = []
    for level, (a, b) in enumerate(zip(*stacks, strict=True)):
        if level == _LEVELS:
            fused.append(np.asarray(0.5 * (a + b), np.float32))
            continue
        first, second = (cv2.blur((c * c).sum(2), (5, 5)) for c in (a, b))
        fused.append(np.where((first >= second)[..., None], a, b))
    picture = fused[-1]
    for band in reversed(fused[:-1]):
        picture = np.asarray(cv2.pyrUp(picture, dstsize=(band.shape[1], band.shape[0])) + band, np.float32)
    return np.clip(picture, 0.0, 255.0)


def ceiling(near: NDArray[np.uint8], far: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Floats:
    """Per pixel the frame that is closer to the truth."""
    errors = [np.abs(frame.astype(np.float32) - truth).sum(2) for frame in (near, far)]
    return np.where((errors[0] <= errors[1])[..., None], near, far).astype(np.float32)


def psnr(picture: NDArray[Any], truth: NDArray[np.uint8]) -> float:
    """PSNR in dB of a picture in 8-bit units."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-3)))


def write_pairs(photos: Path, work: Path, pairs: int, seed: int) -> list[Path]:
    """Make pairs of the photographs of a folder, each taken in turn; returns their folders."""
    sources = sorted(p for p in photos.iterdir() if p.suffix.lower() in _PHOTO_SUFFIXES)
    folders = []
    for number in range(pairs):
        source = sources[number % len(sources)]
        photo = np.asarray(cv2.imread(str(source), cv2.IMREAD_COLOR), np.uint8)
        near, far = make_pair(photo, 1000 * seed + number)
        folder = work / f"{number:02d}-{source.stem}"
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "truth.png"), photo)
        cv2.imwrite(str(folder / "frames" / "frame_0000.png"), near)
        cv2.imwrite(str(folder / "frames" / "frame_0001.png"), far)
        folders.append(folder)
    return folders


def score_pair(folder: Path) -> PairScore:
    """Stack a pair as `focusrail stack --align none` does, and compare."""
    from stacking.options import Align, StackOptions
    from stacking.stack import stack_pictures

    truth = _read(folder / "truth.png")
    near, far = (_read(folder / "frames" / f"frame_000{k}.png") for k in (0, 1))
    stack_pictures([folder / "frames"], folder / "result.tif", StackOptions(align=Align.NONE, force=True))
    result = np.asarray(cv2.imread(str(folder / "result.tif"), cv2.IMREAD_UNCHANGED), np.float32) / np.float32(257.0)
    return PairScore(
        folder.name,
        *(
            round(psnr(picture, truth), 2)
            for picture in (average(near, far), textbook(near, far), ceiling(near, far, truth), result)
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.photo_pairs", description="Pairs of frames made of photographs.")
    parser.add_argument("photos", type=Path, help="a folder of sharp photographs")
    parser.add_argument("work", type=Path, help="where the pairs are kept")
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    scores = [score_pair(folder) for folder in write_pairs(given.photos, given.work, given.pairs, given.seed)]
    for score in scores:
        print(json.dumps(asdict(score)))
    names = ("average", "textbook", "ceiling", "result")
    print(json.dumps({name: round(float(np.mean([getattr(s, name) for s in scores])), 2) for name in names}))


def _laplacian(picture: Floats) -> list[Floats]:
    bands: list[Floats] = []
    for _ in range(_LEVELS):
        coarse = np.asarray(cv2.pyrDown(picture), np.float32)
        bands.append(picture - np.asarray(cv2.pyrUp(coarse, dstsize=(picture.shape[1], picture.shape[0]))))
        picture = coarse
    return [*bands, picture]


def _read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def _eight_bit(picture: Floats) -> NDArray[np.uint8]:
    return np.asarray(np.clip(picture + 0.5, 0.0, 255.0), np.uint8)


if __name__ == "__main__":
    main()
