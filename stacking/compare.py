"""How close a picture comes to a known truth: PSNR after an affine registration."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.errors import RegistrationError

BORDER_SHARE = 0.02
FINEST_PX = 2600
_COARSE_PX = 600
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def psnr_db(
    picture: NDArray[Any],
    truth: NDArray[Any],
    *,
    offset_px: tuple[float, float] = (0.0, 0.0),
    border: float = BORDER_SHARE,
    finest_px: int = FINEST_PX,
) -> float:
    """Peak signal-to-noise ratio of `picture` against `truth`, in dB.

    The truth is brought into the picture's geometry by an affine transform found by ECC (Evangelidis and Psarakis 2008), so the
    picture is never resampled; pixels outside both, and the outer `border` share, do not count.

    Parameters
    ----------
    picture, truth : ndarray, shape (rows, columns, 3), uint8 or uint16
        Encoded RGB; the shapes may differ.
    offset_px : (x, y)
        Where the picture's corner lies in the truth, as a first guess (a crop's corner).
    border : float
        Share of the longer side that is cut off all round.
    finest_px : int
        Longer side at which the registration ends; smaller is quicker and less exact.

    Raises
    ------
    RegistrationError
        Where the two cannot be brought together.
    """
    ours, true = _unit(picture), _unit(truth)
    matrix = _affine(ours @ _LUMA, true @ _LUMA, offset_px, finest_px)
    rows, columns = ours.shape[:2]
    size = (columns, rows)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = np.asarray(cv2.warpAffine(true, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT))
    inside = np.full(true.shape[:2], 255, np.uint8)
    valid = np.asarray(cv2.warpAffine(inside, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)) > 0
    cut = max(1, round(border * max(rows, columns)))
    valid = (
        np.asarray(cv2.erode(np.pad(valid.astype(np.uint8), 1), np.ones((2 * cut + 1, 2 * cut + 1), np.uint8)))[
            1:-1, 1:-1
        ]
        > 0
    )
    if not valid.any():
        raise RegistrationError("the picture and the truth do not overlap")
    error = float(np.mean((np.clip(warped, 0, 1) - ours)[valid] ** 2, dtype=np.float64))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def _unit(image: NDArray[Any]) -> NDArray[np.float32]:
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _affine(
    ours: NDArray[np.float32], true: NDArray[np.float32], offset_px: tuple[float, float], finest_px: int
) -> NDArray[np.float32]:
    """2x3 matrix from picture to truth coordinates, coarse to fine."""
    matrix = np.array([[1, 0, offset_px[0]], [0, 1, offset_px[1]]], np.float32)
    longest = max(ours.shape)
    for scale in sorted(
        {min(1.0, min(size_px, finest_px) / longest) for size_px in (_COARSE_PX, 2 * _COARSE_PX, finest_px)}
    ):
        small = [
            np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
            for image in (ours, true)
        ]
        guess = matrix.copy()
        guess[:, 2] = matrix[:, 2] * scale + (0.5 * scale - 0.5) * (matrix[:, :2].sum(1) - 1)
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 80, 1e-6)
        try:
            _, guess = cv2.findTransformECC(small[0], small[1], guess, cv2.MOTION_AFFINE, criteria, None, 5)  # type: ignore[call-overload]
        except cv2.error as error:
            raise RegistrationError(
                "the picture and the truth cannot be registered", remedy="Are they of one scene?"
            ) from error
        matrix = guess.astype(np.float32)
        matrix[:, 2] = (guess[:, 2] - (0.5 * scale - 0.5) * (guess[:, :2].sum(1) - 1)) / scale
    return matrix
