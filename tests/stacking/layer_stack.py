"""A small stack whose depth is known: a plane that leans to the right, sharp in one part of each frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES = 240, 160, 8


def truth(seed: int = 4) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)), (0, 0), 1.1)
    coarse = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3)), (0, 0), 9)
    fine = (fine - fine.mean()) / fine.std()
    coarse = (coarse - coarse.mean()) / coarse.std()
    return np.clip(128 + 26 * fine[..., None] + 18 * coarse, 4, 250)


def leaning(seed: int = 4) -> list[NDArray[np.uint8]]:
    """RGB frames; frame k is sharp round column k * (WIDTH - 1) / (FRAMES - 1)."""
    sharp = truth(seed)
    rng = np.random.default_rng(seed + 4)
    x = np.linspace(0, FRAMES - 1, WIDTH)[None, :, None]
    banks = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), s) for s in (0.9, 1.7, 2.5, 3.3, 4.1))]
    frames = []
    for k in range(FRAMES):
        away = np.minimum(np.abs(x - k) * 0.9, len(banks) - 1.001)
        image = sum(bank * np.clip(1 - np.abs(away - j), 0, 1) for j, bank in enumerate(banks))
        frames.append(np.clip(np.rint(np.asarray(image) + rng.normal(0, 1.0, sharp.shape)), 0, 255).astype(np.uint8))
    return frames


def write_frames(folder: Path, frames: list[NDArray[np.uint8]], name: str = "f") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, frame in enumerate(frames):
        ok, coded = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))
        assert ok
        (folder / f"{name}-{k}.png").write_bytes(coded.tobytes())
    return folder


def psnr_db(image: NDArray[np.float64], other: NDArray[np.float64], top: float) -> float:
    return float(20 * np.log10(top / max(np.sqrt(np.mean((image - other) ** 2)), 1e-12)))
