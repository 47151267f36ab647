"""Quality of a stacked picture against the truth of its stack.

The truth is brought into the geometry of the result (similarity from SIFT matches, then ECC), so that the result is never resampled
and no choice of reference frame, crop or canvas counts. A uniform misregistration is forgiven; blur from frames that lie badly on
each other is not. Only pixels that both have are scored, less a border of 1 %. Figures are on the 8-bit scale of the encoded picture.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_OCCLUSION_JUMP = 0.08
_SMOOTH_VARIANCE = 4.0
_LUMA_BGR = np.array([0.114, 0.587, 0.299], np.float32)


class ScoreError(Exception):
    """A picture that cannot be read or compared with its truth."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a stack should look like: picture (rows, columns, BGR; 0 to 255), depth (0 nearest to 1 farthest), largest blur radius."""

    picture: Floats
    depth: Floats
    max_blur_px: float

    @classmethod
    def read(cls, folder: Path) -> Truth:
        """Read truth.tif, truth_depth.tif and meta.json. Raises ScoreError, OSError."""
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        picture, _ = read_picture(folder / "truth.tif")
        return cls(picture, read_depth(folder / "truth_depth.tif"), float(meta["max_blur"]))


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a result.

    psnr, ssim: as it is; psnr_fit, ssim_fit: after gain and offset per channel, which takes out the choice of an exposure.
    halo_p95, open_p95: 95th percentile of the luma error beside depth edges, and away from them. smooth_rms: luma error where the
    truth is smooth (None: no such place). detail: Laplacian amplitude of the result over the truth's. bias: mean error in B, G, R.
    depth_rank: Spearman correlation of a depth map with the true depth (None without one). matrix: truth pixel to result pixel.
    """

    psnr: float
    psnr_fit: float
    ssim: float
    ssim_fit: float
    halo_p95: float
    open_p95: float
    smooth_rms: float | None
    detail: float
    bias: tuple[float, float, float]
    depth_rank: float | None
    scored_share: float
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]


def read_picture(path: Path) -> tuple[Floats, Flags]:
    """Picture as (rows, columns, BGR) 0 to 255, and where it is valid (not transparent). Raises ScoreError."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ScoreError(f"cannot read {path}")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, 2)
    scale = {"uint8": 1.0, "uint16": 1 / 257}.get(image.dtype.name, 255.0)
    valid = np.ones(image.shape[:2], bool) if image.shape[2] < 4 else image[..., 3] > image[..., 3].max() // 2
    return np.asarray(image[..., :3] * np.float32(scale), np.float32), np.asarray(valid, np.bool_)


def read_depth(path: Path) -> Floats:
    """Depth (rows, columns); NaN where unknown. Raises ScoreError."""
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.ndim != 2:
        raise ScoreError(f"cannot read a depth map from {path}")
    return np.asarray(depth, np.float32)


def score(result: Path, stack: Path, depth: Path | None = None) -> Score:
    """Score a result, and its depth map, against the truth in a stack's folder. Raises ScoreError, OSError."""
    picture, valid = read_picture(result)
    return score_picture(picture, Truth.read(stack), valid=valid, depth=None if depth is None else read_depth(depth))


def score_picture(picture: Floats, truth: Truth, *, valid: Flags | None = None, depth: Floats | None = None) -> Score:
    """Score a picture in memory (rows, columns, BGR; 0 to 255). Raises ScoreError where it cannot be registered."""
    if depth is not None and depth.shape != picture.shape[:2]:
        raise ScoreError(f"the depth map is {depth.shape}, the picture {picture.shape[:2]}")
    matrix, placed = register_truth(truth.picture, picture)
    size = (picture.shape[1], picture.shape[0])
    placed_depth = np.asarray(
        cv2.warpAffine(truth.depth, matrix, size, flags=cv2.INTER_NEAREST, borderValue=-1), np.float32
    )
    scored = _scored_area(placed_depth >= 0 if valid is None else (placed_depth >= 0) & valid)
    if not scored.any():
        raise ScoreError("the picture and its truth have no area in common")
    fitted = _fitted(picture, placed, scored)
    wanted, got, got_fitted = (image @ _LUMA_BGR for image in (placed, picture, fitted))
    near = _near_depth_edges(placed_depth, truth.max_blur_px)
    error = np.abs(got_fitted - wanted)
    spread = cv2.GaussianBlur(wanted * wanted, (0, 0), 3) - cv2.GaussianBlur(wanted, (0, 0), 3) ** 2
    smooth = scored & ~near & (spread < _SMOOTH_VARIANCE)
    bias = (picture - placed)[scored].mean(0)
    return Score(
        psnr=_psnr((picture - placed)[scored]),
        psnr_fit=_psnr((fitted - placed)[scored]),
        ssim=float(ssim_map(got, wanted)[scored].mean()),
        ssim_fit=float(ssim_map(got_fitted, wanted)[scored].mean()),
        halo_p95=_percentile_95(error[near & scored]),
        open_p95=_percentile_95(error[~near & scored]),
        smooth_rms=float(np.sqrt(np.mean(error[smooth] ** 2))) if smooth.sum() > 500 else None,
        detail=_laplacian_rms(got, scored) / _laplacian_rms(wanted, scored),
        bias=(float(bias[0]), float(bias[1]), float(bias[2])),
        depth_rank=None if depth is None else _rank_correlation(depth, placed_depth, scored),
        scored_share=float(scored.sum() / truth.depth.size),
        matrix=(_row(matrix[0]), _row(matrix[1])),
    )


def register_truth(truth: Floats, picture: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Find the matrix from truth to picture, and the truth warped by it.

    A picture that lies on the truth but for a shift by whole pixels is compared without any resampling where that is kinder to it.
    """
    size = (picture.shape[1], picture.shape[0])
    matrix = _refined(truth, picture, _similarity(truth, picture))
    placed = np.asarray(
        cv2.warpAffine(truth, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT), np.float32
    )
    whole = np.array([[1, 0, np.rint(matrix[0, 2])], [0, 1, np.rint(matrix[1, 2])]], np.float64)
    if np.abs((matrix - whole) @ np.array([truth.shape[1], truth.shape[0], 1.0])).max() < 1.5:
        moved = np.asarray(
            cv2.warpAffine(truth, whole, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT), np.float32
        )
        rows, columns = size[1] // 20 + 1, size[0] // 20 + 1
        middle = (slice(rows, -rows), slice(columns, -columns))
        if np.mean((moved[middle] - picture[middle]) ** 2) <= np.mean((placed[middle] - picture[middle]) ** 2):
            return whole, moved
    return matrix, placed


def _at_scale(matrix: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """The matrix between pictures that both were resized by `scale` (pixel centres at half)."""
    half = 0.5 * scale - 0.5
    changed = matrix.copy()
    changed[:, 2] = matrix[:, 2] * scale + half * (1 - matrix[:, :2].sum(1))
    return changed


def _small_luma(image: Floats, scale: float) -> Floats:
    luma = np.asarray(image @ _LUMA_BGR, np.float32)
    return (
        luma
        if scale == 1
        else np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
    )


def _similarity(truth: Floats, picture: Floats) -> NDArray[np.float64]:
    """Similarity from SIFT matches on pictures of 2000 px at most; Lowe's ratio test, RANSAC."""
    scale = min(1.0, 2000 / max(truth.shape[:2]))
    finder = cv2.SIFT.create(6000)
    points, features = [], []
    for image in (truth, picture):
        found, described = finder.detectAndCompute(_small_luma(image, scale).clip(0, 255).astype(np.uint8), None)
        if described is None or len(found) < 8:
            raise ScoreError("too little texture to compare with the truth")
        points.append(np.array([point.pt for point in found], np.float32))
        features.append(described)
    pairs = [pair for pair in cv2.BFMatcher().knnMatch(features[0], features[1], 2) if len(pair) == 2]
    good = [first for first, second in pairs if first.distance < 0.75 * second.distance]
    if len(good) < 8:
        raise ScoreError("the picture does not look like its truth")
    matrix, _ = cv2.estimateAffinePartial2D(
        points[0][[match.queryIdx for match in good]],
        points[1][[match.trainIdx for match in good]],
        ransacReprojThreshold=1.5,
        maxIters=5000,
        confidence=0.999,
    )
    if matrix is None:
        raise ScoreError("the picture cannot be laid on its truth")
    return _at_scale(np.asarray(matrix, np.float64), 1 / scale)


def _refined(truth: Floats, picture: Floats, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """ECC (Evangelidis and Psarakis 2008), affine, on pictures of 2600 px at most."""
    scale = min(1.0, 2600 / max(truth.shape[:2]))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-7)
    start = _at_scale(matrix, scale).astype(np.float32)
    small = (_small_luma(truth, scale), _small_luma(picture, scale))
    mask = np.full(small[1].shape, 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(*small, start, cv2.MOTION_AFFINE, stop, mask, 5)
    except cv2.error:
        return matrix  # the similarity holds; ECC has too little to go by
    return _at_scale(np.asarray(found, np.float64), 1 / scale)


def _scored_area(valid: Flags) -> Flags:
    border = max(4, int(0.01 * max(valid.shape)))
    framed = np.zeros((valid.shape[0] + 2, valid.shape[1] + 2), np.uint8)
    framed[1:-1, 1:-1] = valid
    kernel = np.ones((2 * border + 1, 2 * border + 1), np.uint8)
    return np.asarray(cv2.erode(framed, kernel)[1:-1, 1:-1] > 0, np.bool_)


def _fitted(picture: Floats, truth: Floats, scored: Flags) -> Floats:
    """The picture after the gain and offset per channel that bring it nearest to the truth; a gain beyond 25 % is not believed."""
    fitted = np.empty_like(picture)
    for channel in range(3):
        x, y = picture[..., channel][scored][::7], truth[..., channel][scored][::7]
        gain, offset = (float(value) for value in np.polyfit(x.astype(np.float64), y.astype(np.float64), 1))
        if not 0.8 < gain < 1.25:
            gain, offset = 1.0, float(np.mean(y - x))
        fitted[..., channel] = picture[..., channel] * gain + offset
    return fitted


def _near_depth_edges(depth: Floats, max_blur_px: float) -> Flags:
    """Within half the largest blur radius (at least 4 px) of an occluding edge."""
    kernel = np.ones((3, 3), np.uint8)
    edges = (cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > _OCCLUSION_JUMP).astype(np.uint8)
    reach = int(max(4, max_blur_px / 2))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(edges, disc) > 0, np.bool_)


def ssim_map(first: Floats, second: Floats) -> Floats:
    """Structural similarity per pixel (Wang et al. 2004): Gaussian window 11 x 11, sigma 1.5, K 0.01 and 0.03, range 255."""

    def local(image: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5), np.float32)

    mean_1, mean_2 = local(first), local(second)
    variance_1, variance_2 = local(first * first) - mean_1**2, local(second * second) - mean_2**2
    covariance = local(first * second) - mean_1 * mean_2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    below = (mean_1**2 + mean_2**2 + c1) * (variance_1 + variance_2 + c2)
    return np.asarray(above / below, np.float32)


def _psnr(error: Floats) -> float:
    square = float(np.mean(np.square(error, dtype=np.float64)))
    return math.inf if square == 0 else 10 * math.log10(255**2 / square)


def _percentile_95(values: Floats) -> float:
    return float(np.percentile(values, 95)) if values.size else math.nan


def _laplacian_rms(luma: Floats, scored: Flags) -> float:
    return float(np.sqrt(np.mean(np.asarray(cv2.Laplacian(luma, cv2.CV_32F), np.float32)[scored] ** 2)))


def _rank_correlation(depth: Floats, truth: Floats, scored: Flags) -> float:
    """Spearman's rank correlation on every 97th scored pixel with a known depth; ties share their mean rank."""
    chosen = np.flatnonzero(scored & np.isfinite(depth))[::97]
    if chosen.size < 10:
        raise ScoreError("the depth map is unknown almost everywhere")
    ranks = []
    for values in (depth.ravel()[chosen], truth.ravel()[chosen]):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[inverse])
    if min(np.ptp(rank) for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _row(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("stack", type=Path, help="folder made by make_stack")
    parser.add_argument("--depth", type=Path, help="depth map of the result, larger is farther")
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = asdict(score(given.result, given.stack, given.depth))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
