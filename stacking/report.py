"""What a run of the stacker did, as values that others read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.frames import LeftOut


@dataclass(frozen=True, slots=True)
class StackReport:
    """What a run did.

    Attributes
    ----------
    result : Path
    width, height : int
        Of the result, pixels.
    frames_used : int
    frames_left_out : sequence of LeftOut
    order : sequence of str
        File names in the order they were stacked.
    transforms : dict of str to ndarray (2, 3)
        Reference frame to frame, by file name; the nearest to it where the lens distorts.
    distortion : float
        Of the lens: share by which the corners of frames are moved outward; 0 where none is surely seen.
    crop : (int, int, int, int)
        x, y, width, height of the result in the reference frame.
    reference : str
        File name of the reference frame.
    notes : sequence of str
    seconds : float
    peak_rss_bytes : int
    depth : Path or None
    outputs : dict of str to Path
        Files written besides, by what they are.
    slabs : sequence of (Path, tuple of str, int)
        File, frames by file name, and stage of each slab.
    times : sequence of (str, float)
        Stages and their seconds.
    """

    result: Path
    width: int
    height: int
    frames_used: int
    frames_left_out: Sequence[LeftOut]
    order: Sequence[str]
    transforms: dict[str, NDArray[np.float64]]
    crop: tuple[int, int, int, int]
    reference: str
    notes: Sequence[str]
    seconds: float
    peak_rss_bytes: int
    depth: Path | None = None
    outputs: Mapping[str, Path] = field(default_factory=dict)
    slabs: Sequence[tuple[Path, tuple[str, ...], int]] = ()
    times: Sequence[tuple[str, float]] = ()
    distortion: float = 0.0

    def values(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {
            "result": str(self.result.resolve()),
            "width": self.width,
            "height": self.height,
            "frames_used": self.frames_used,
            "frames_left_out": [{"file": str(out.path), "reason": out.reason} for out in self.frames_left_out],
            "order": list(self.order),
            "transforms": {name: matrix.tolist() for name, matrix in self.transforms.items()},
            "distortion": self.distortion,
            "crop": list(self.crop),
            "reference": self.reference,
            "notes": list(self.notes),
            "depth": None if self.depth is None else str(self.depth.resolve()),
            "outputs": {name: str(path.resolve()) for name, path in self.outputs.items()},
            "slabs": [{"file": str(p.resolve()), "frames": list(frames), "stage": s} for p, frames, s in self.slabs],
            "times": {stage: round(seconds, 3) for stage, seconds in self.times},
            "seconds": round(self.seconds, 3),
            "peak_rss_mb": round(self.peak_rss_bytes / 2**20, 1),
        }
