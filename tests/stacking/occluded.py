"""A near object before a far ground, both textured: blurred, the near one lets the ground shine through its rim."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES = 360, 260, 9
NEAR, FAR = 1.5, 7.0
BLUR_PX = 2.6

F64 = NDArray[np.float64]


def _texture(rng: np.random.Generator, contrast: float, mean: float) -> F64:
    fine = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 1.0)
    coarse = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH, 3)), (0, 0), 9)
    return np.clip(mean + contrast * fine[..., None] / fine.std() + 0.04 * coarse / coarse.std(), 0.02, 0.98)


def _blurred(image: F64, radius: float) -> F64:
    if radius < 0.3:
        return image
    size = 2 * int(np.ceil(radius)) + 1
    y, x = np.mgrid[:size, :size] - size // 2
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT), np.float64)


def occluded(seed: int = 1, near_contrast: float = 0.05) -> tuple[list[NDArray[np.uint8]], F64, F64]:
    """Frames (RGB), the picture all in focus (0 to 255), and the near object (1 inside)."""
    rng = np.random.default_rng(seed)
    ground, object_ = _texture(rng, 0.12, 0.35), _texture(rng, near_contrast, 0.6)
    mask = np.zeros((HEIGHT, WIDTH))
    cv2.ellipse(mask, (170, 130), (95, 70), 20, 0, 360, 1.0, -1, cv2.LINE_AA)
    frames = []
    for k in range(FRAMES):
        front, back = BLUR_PX * abs(k - NEAR), BLUR_PX * abs(k - FAR)
        alpha = _blurred(mask, front)[..., None]
        image = _blurred(object_ * mask[..., None], front) + (1 - alpha) * _blurred(ground, back)
        frames.append(np.clip(np.rint(image * 255 + rng.normal(0, 1.0, image.shape)), 0, 255).astype(np.uint8))
    truth = (object_ * mask[..., None] + ground * (1 - mask[..., None])) * 255
    return frames, truth, mask
