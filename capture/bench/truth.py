"""What the bench knows and a photographer does not: the all-in-focus picture, the depth of every pixel, the range in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from capture.bench.optics import Lens
from capture.bench.render import Renderer, View
from capture.bench.scene import Scene
from capture.bench.sensor import encode_srgb

_WINDOW_PX = 9
# Wider, because an edge is softer than a step in depth.
_FRONT_WINDOW = np.ones((15, 15), dtype=np.uint8)
_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)
# Standard deviation of the encoded luminance, 0 to 1, from which a surface counts as textured.
_TEXTURED = 0.012


@dataclass(frozen=True, slots=True)
class Truth:
    """The scene with everything in focus, as seen from the middle of the depth range.

    Attributes
    ----------
    picture : ndarray, shape (rows, columns, 3), uint16
        sRGB-encoded RGB; diffraction of the focused lens and the pixel's aperture are in it, noise and flicker are not.
    depth_um : ndarray, shape (rows, columns), float32
        Carriage position at which each pixel is in focus.
    near_um, far_um : float or None
        1st and 99th percentile by area of textured visible depth; None where nothing is textured.
    """

    picture: NDArray[np.uint16]
    depth_um: NDArray[np.float32]
    near_um: float | None
    far_um: float | None

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``truth.tif`` and ``depth.tif`` into `folder`, which is made; returns both paths. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        picture, depth = folder / "truth.tif", folder / "depth.tif"
        for path, array, kind in ((picture, self.picture, "rgb"), (depth, self.depth_um, "minisblack")):
            part = path.with_name(path.name + ".part")
            tifffile.imwrite(part, array, photometric=kind)
            part.replace(path)
        return picture, depth


def tell(renderer: Renderer, scene: Scene, lens: Lens) -> Truth:
    """Draw the truth; `renderer` is one of pitch 1."""
    view = View(scene.middle_um, lens, sharp=True)
    size = (scene.canvas.frame_columns, scene.canvas.frame_rows)
    picture = np.asarray(encode_srgb(renderer.render(view, size), 65535), dtype=np.uint16)
    depth = renderer.depth(view, size)
    visible = depth[textured(picture, depth, 0.5 * lens.depth_of_field_um)]
    if visible.size < 0.001 * depth.size:
        return Truth(picture, depth, None, None)
    near, far = np.percentile(visible, (1, 99))
    return Truth(picture, depth, float(near), float(far))


def textured(picture: NDArray[np.uint16], depth_um: NDArray[np.float32], tolerance_um: float) -> NDArray[np.bool_]:
    """Where the picture has structure of its own.

    The edge of something in front is structure of that thing, not of what lies `tolerance_um` or more behind it.

    Returns
    -------
    ndarray, shape (rows, columns), bool
    """
    luminance = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(65535)
    window = (_WINDOW_PX, _WINDOW_PX)
    mean = cv2.blur(luminance, window)
    deviation = np.sqrt(np.maximum(cv2.blur(luminance * luminance, window) - mean * mean, 0.0))
    nearest = cv2.erode(depth_um, _FRONT_WINDOW)
    # a steep slope is no edge: between neighbouring pixels it hardly falls
    edge = (depth_um - cv2.erode(depth_um, _NEIGHBOURS) >= tolerance_um).astype(np.uint8)
    is_behind = (depth_um - nearest >= tolerance_um) & (cv2.dilate(edge, _FRONT_WINDOW) > 0)
    return np.asarray((deviation > _TEXTURED) & ~is_behind)
