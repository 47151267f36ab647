"""What a selection that cheats would reach: true transforms, and per pixel the frame that lies closest to the truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks.score import Floats, Truth, read_picture


def best_selection(stack: Path) -> Floats:
    """Compose (rows, columns, BGR; 0 to 255) the best frame per pixel, judged over 5 x 5 pixels.

    No stacker knows the truth; but one that does more than select, that averages noise or un-mixes blur, can come above this.
    Raises ScoreError, OSError.
    """
    meta = json.loads((stack / "meta.json").read_text(encoding="utf-8"))
    truth = Truth.read(stack).picture
    size = (truth.shape[1], truth.shape[0])
    least = np.full(truth.shape[:2], np.inf, np.float32)
    chosen = np.zeros_like(truth)
    for frame, path in zip(meta["frame"], sorted(stack.glob("frame_*")), strict=True):
        picture, _ = read_picture(path)
        picture /= np.float32(frame["gain"] ** (1 / meta["gamma"]))
        placed = cv2.warpAffine(
            picture,
            np.asarray(frame["matrix"], np.float64),
            size,
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        error = cv2.blur(np.abs(placed - truth).sum(2), (5, 5))
        better = error < least
        chosen[better] = placed[better]
        least[better] = error[better]
    return np.clip(chosen, 0, 255)
