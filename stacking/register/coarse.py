"""A first guess of how two frames lie on each other, from their thumbnails: large shifts, little texture, strong blur."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.register.features import Map, shrink
from stacking.register.similarity import Similarity

_LEAST_OVERLAP = 0.3
_DESCENT = ((4, 20), (2, 12), (1, 4))  # reduction of the thumbnails, most steps there
_LEAST_DESCENT = 24


def agreement(old: Map, new: Map, guess: Similarity, factor: float) -> float:
    """Return the correlation (-1..1) of two flattened thumbnails under a guess; -1 where they hardly overlap.

    Parameters
    ----------
    old, new : ndarray, float32
        From :func:`flatten`.
    guess : Similarity
        From old to new, full-resolution pixels.
    factor : float
        Full-resolution pixels per thumbnail pixel.
    """
    warped, valid = warp_back(new, guess, factor, old.shape)
    count = int(np.count_nonzero(valid))
    if count < _LEAST_OVERLAP * old.size:
        return -1.0
    a, b = old[valid], warped[valid]
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 0 else 0.0


def warp_back(new: Map, guess: Similarity, factor: float, shape: tuple[int, ...]) -> tuple[Map, NDArray[np.bool_]]:
    """Resample a thumbnail into the geometry of the other one; the mask is True where all of it is real."""
    rows, columns = shape[0], shape[1]
    matrix = Similarity(guess.a, guess.b / factor).matrix((columns, rows))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(new, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    c = complex((columns - 1) / 2, (rows - 1) / 2)
    x = np.arange(columns)[None] + 1j * np.arange(rows)[:, None]
    at = guess.a * (x - c) + guess.b / factor + c
    valid = (at.real >= 0) & (at.real <= new.shape[1] - 1) & (at.imag >= 0) & (at.imag <= new.shape[0] - 1)
    return np.asarray(warped, np.float32), valid


def shift_by_phase(old: Map, new: Map, factor: float) -> Similarity:
    """Return the shift from old to new by phase correlation (Kuglin and Hines 1975), full-resolution pixels."""
    window = cv2.createHanningWindow((old.shape[1], old.shape[0]), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(old * window, new * window)
    return Similarity(1 + 0j, complex(dx, dy) * factor)


def similarity_by_phase(old: Map, new: Map, factor: float) -> Similarity:
    """Return scale, rotation and shift by the Fourier-Mellin transform (Reddy and Chatterji 1996)."""
    side = min(old.shape)
    side -= side % 2
    spectra = [_log_polar_spectrum(_middle(image, side)) for image in (old, new)]
    window = cv2.createHanningWindow((spectra[0].shape[1], spectra[0].shape[0]), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(spectra[0] * window, spectra[1] * window)
    scale = float(np.exp(-dx * np.log(side / 2) / spectra[0].shape[1]))
    angle = dy * np.pi / spectra[0].shape[0]
    a = complex(scale * np.cos(angle), scale * np.sin(angle))
    turned, _ = warp_back(new, Similarity(a), factor, old.shape)
    shift = shift_by_phase(old, turned, factor)
    return shift.then(Similarity(a))


def best_guess(old: Map, new: Map, factor: float, guesses: Sequence[Similarity]) -> tuple[Similarity, float]:
    """Return the guess that agrees best, and its agreement; the shift by phase correlation competes."""
    scored = [
        (agreement(old, new, g, factor), k, g) for k, g in enumerate([*guesses, shift_by_phase(old, new, factor)])
    ]
    score, _, guess = max(scored, key=lambda entry: (entry[0], -entry[1]))
    return guess, score


def align_directly(old: Map, new: Map, guess: Similarity, factor: float) -> tuple[Similarity, float]:
    """Align two flattened thumbnails by all their pixels: Gauss-Newton, coarse to fine, robust (Baker and Matthews 2004).

    Returns
    -------
    similarity : Similarity
        From old to new, full-resolution pixels.
    agreement : float
        The correlation it reaches.
    """
    now = guess
    for by, rounds in _DESCENT:
        if min(old.shape) // by < _LEAST_DESCENT:
            continue
        a, b = (cv2.GaussianBlur(shrink(image, by), (0, 0), 1.0) for image in (old, new))
        now = _descend(np.asarray(a, np.float32), np.asarray(b, np.float32), now, factor * by, rounds)
    return now, agreement(old, new, now, factor)


def _descend(old: Map, new: Map, guess: Similarity, factor: float, rounds: int) -> Similarity:
    rows, columns = old.shape
    gx = cv2.Sobel(old, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    gy = cv2.Sobel(old, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    x = np.broadcast_to(np.arange(columns, dtype=np.float32)[None] - (columns - 1) / 2, old.shape)
    y = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2, old.shape)
    # Derivatives of old(z + da z + db) for da = (u, v), db = (s, t), and a free offset.
    slopes = np.stack([gx * x + gy * y, gy * x - gx * y, gx, gy, np.ones_like(old)], 2).astype(np.float32)
    scale = np.array([2 / columns, 2 / columns, 1, 1, 1], np.float32)
    slopes *= scale
    now = guess
    for _ in range(rounds):
        warped, valid = warp_back(new, now, factor, old.shape)
        if np.count_nonzero(valid) < _LEAST_OVERLAP * old.size:
            return guess
        # The gain between the two is fitted with the offset, so unequal contrast moves nothing.
        a, b, s = old[valid], warped[valid], slopes[valid]
        power = float((b * b).sum())
        gain = float((a * b).sum()) / power if power > 0 else 1.0
        error = b * np.float32(max(gain, 0.1)) - a
        width = 2.0 * float(np.median(np.abs(error))) + 1e-6
        weight = 1 / (1 + (error / width) ** 2)
        weighted = s * weight[:, None]
        normal = (weighted.T @ s).astype(np.float64)
        step = (
            np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(5), (weighted.T @ error).astype(np.float64))
            * scale
        )
        # new(now(z)) ~ old(update(z))  =>  the next guess is now after the inverse of the update.
        update = Similarity(1 + complex(step[0], step[1]), complex(step[2], step[3]) * factor)
        now = update.inverse().then(now)
        if abs(step[2]) + abs(step[3]) < 0.005 and (abs(step[0]) + abs(step[1])) * columns < 0.02:
            break
    if abs(abs(now.a) - 1) > 0.4:
        return guess
    return now


def _middle(image: Map, side: int) -> Map:
    y, x = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[y : y + side, x : x + side]


def _log_polar_spectrum(image: Map) -> Map:
    side = image.shape[0]
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(image * window)))
    radius = np.hypot(*np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side)))
    spectrum = np.log1p(spectrum * np.clip(radius, 0, 1)).astype(np.float32)
    centre = (side / 2, side / 2)
    polar = cv2.warpPolar(spectrum, (side, 2 * side), centre, side / 2, cv2.INTER_LINEAR | cv2.WARP_POLAR_LOG)
    half = polar[:side, : int(0.9 * side)]
    return np.ascontiguousarray(half - half.mean(), np.float32)
