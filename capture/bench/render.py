"""Draws the scene as the lens sees it from one carriage position: perspective, defocus, occlusion, then diffraction.

A part at depth z is drawn larger by L / (L + z - position), L the distance of the entrance pupil from the focused plane: breathing
and parallax follow. Each layer is resampled to that perspective, blurred by the disc of its local defocus and laid over those behind
it, premultiplied, so that a blurred foreground spreads over its background and lets it shine through.

The work is done in tiles, each at the coarsest level of an image pyramid that its blur allows, so a frame far out of focus costs less
than a sharp one. Between two discs of the bank the *variance* is interpolated, not the radius, and each disc is corrected for the
moments that pyramid and enlarging add: the second moment of the blur is that of the true disc at every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.optics import Kernel, Lens
from capture.bench.render_layers import Disc, Picture, PreparedLayer, disc_bank, single, unbiased
from capture.bench.scene import DEPTH_PITCH, Scene
from capture.bench.scene_vibration import Path2D, trail

_TILE = 128
# Beyond this share of the longer side more blur changes nothing that can be seen.
_LARGEST_RADIUS_SHARE = 0.2
# With every disc larger than this, or the lens's cutoff below this many cycles per pixel of the smaller picture, the picture is
# drawn at a quarter of its size.
_COARSE_RADIUS = 16.0
_COARSE_CUTOFF = 0.4
_COARSER = 4
_COARSEST_PX = 48
_NODES_PAD_PX = 64


@dataclass(frozen=True, slots=True)
class View:
    """From where and how one picture is taken.

    Attributes
    ----------
    position_um : float
        True position of the carriage.
    lens : Lens
    path_px : ndarray, shape (n, 2), or None
        Offsets of the whole picture during the exposure (vibration), x and y in pixels of the still; None for none.
    subject_shift_um : (float, float)
        Where the subject has been pushed to, x and y in um.
    sharp : bool
        True leaves all defocus out (the all-in-focus truth).
    """

    position_um: float
    lens: Lens
    path_px: Path2D | None = None
    subject_shift_um: tuple[float, float] = (0.0, 0.0)
    sharp: bool = False


class Renderer:
    """Draws a scene at one pitch.

    Parameters
    ----------
    scene : Scene
    pitch_px : float
        Pixels of the still per pixel drawn: 1 for the still, more for live view.
    aperture_px : float or None
        Side of the square over which one pixel collects light, in pixels of the still; None for `pitch_px`.
    coarsen : bool
        Whether a picture that holds no detail (nothing near focus, or diffraction) may be drawn at a quarter of its size and
        enlarged.
    """

    def __init__(
        self, scene: Scene, pitch_px: float = 1.0, aperture_px: float | None = None, *, coarsen: bool = True
    ) -> None:
        self.pitch_px = pitch_px
        self._aperture_px = pitch_px if aperture_px is None else aperture_px
        self._layers = [PreparedLayer(layer, pitch_px) for layer in scene.layers]
        self.node_px = 8 if pitch_px <= 1.0 else 4
        largest = _LARGEST_RADIUS_SHARE * max(scene.canvas.shape) / pitch_px
        self._bank = disc_bank(largest, len(self._layers[0].levels) - 1)
        self._edges = np.array([entry.radius**2 for entry in self._bank], dtype=np.float32)
        self._scene = scene
        self._coarser: Renderer | None = None
        self._may_coarsen = coarsen and min(scene.canvas.shape) / (pitch_px * _COARSER) >= _COARSEST_PX

    def render(self, view: View, size_px: tuple[int, int]) -> Picture:
        """Draw one picture with the optical axis in its middle.

        Parameters
        ----------
        size_px : (int, int)
            Width and height.

        Returns
        -------
        ndarray, shape (height, width, 3), float32
            Linear light, sRGB primaries; 1 is white, highlights exceed it, ringing may fall slightly below 0.
        """
        fine = view.lens.cutoff(self.pitch_px * _COARSER) > _COARSE_CUTOFF
        if self._may_coarsen and (self._least_radius(view) > _COARSE_RADIUS or not fine):
            return self._render_coarsely(view, size_px)
        picture: Picture = np.empty((size_px[1], size_px[0], 3), dtype=np.float32)
        drawn = [_LayerView(self, layer, view, size_px) for layer in self._layers]
        for y0, y1, x0, x1 in _tiles(size_px):
            tile = np.zeros((y1 - y0, x1 - x0, 4), dtype=np.float32)
            for layer in drawn:
                tile = layer.lay_over(tile, y0, x0)
            picture[y0:y1, x0:x1] = tile[..., :3]
        averaged_px = self.pitch_px if self.pitch_px > 1.0 else 0.0
        spread = view.lens.spread(pitch_px=self.pitch_px, aperture_px=self._aperture_px, averaged_px=averaged_px)
        picture = single(cv2.filter2D(picture, -1, spread, borderType=cv2.BORDER_REFLECT))
        smear = None if view.path_px is None else trail(view.path_px / self.pitch_px)
        if smear is not None:
            picture = single(cv2.filter2D(picture, -1, smear[::-1, ::-1], borderType=cv2.BORDER_REFLECT))
        return picture

    def _least_radius(self, view: View) -> float:
        """Radius, in pixels drawn, of the sharpest part of the scene."""
        if view.sharp:
            return 0.0
        away = min(
            max(layer.nearest_um - view.position_um, view.position_um - layer.farthest_um, 0.0)
            for layer in self._layers
        )
        return 0.5 * away * view.lens.blur_px_per_um / self.pitch_px

    def _render_coarsely(self, view: View, size_px: tuple[int, int]) -> Picture:
        """Draw a picture without detail at a quarter of the size and enlarge it."""
        if self._coarser is None:
            self._coarser = Renderer(self._scene, self.pitch_px * _COARSER, self._aperture_px)
        width, height = size_px
        small_px = (math.ceil(width / _COARSER) + 4, math.ceil(height / _COARSER) + 4)
        small = self._coarser.render(view, small_px)
        scale = 1.0 / _COARSER
        matrix = np.array(
            [
                [scale, 0.0, (small_px[0] - 1) / 2 - scale * (width - 1) / 2],
                [0.0, scale, (small_px[1] - 1) / 2 - scale * (height - 1) / 2],
            ]
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return single(cv2.warpAffine(small, matrix, size_px, flags=flags, borderMode=cv2.BORDER_REFLECT))

    def depth(self, view: View, size_px: tuple[int, int]) -> Picture:
        """Depth of the foremost part that covers more than half a pixel.

        Returns
        -------
        ndarray, shape (height, width), float32
            Carriage position in um at which that part is in focus.
        """
        result = np.empty((size_px[1], size_px[0]), dtype=np.float32)
        drawn = [_LayerView(self, layer, view, size_px) for layer in self._layers]
        for y0, y1, x0, x1 in _tiles(size_px):
            for layer in drawn:
                z, alpha = layer.depth_and_cover(y0, x0, (y1 - y0, x1 - x0))
                np.copyto(result[y0:y1, x0:x1], z, where=alpha > 0.5)
        return result

    @property
    def bank(self) -> tuple[list[Disc], NDArray[np.float32]]:
        """The discs by rising radius, and their squared radii."""
        return self._bank, self._edges


def _tiles(size_px: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Top, bottom, left and right of each tile."""
    width, height = size_px
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            yield y, min(y + _TILE, height), x, min(x + _TILE, width)


class _LayerView:
    """One layer seen from one position."""

    def __init__(self, renderer: Renderer, layer: PreparedLayer, view: View, size_px: tuple[int, int]) -> None:
        self._layer = layer
        self._view = view
        self._pitch = renderer.pitch_px
        self._axis_x = (size_px[0] - 1) / 2
        self._axis_y = (size_px[1] - 1) / 2
        self._step = renderer.node_px
        self._pad = _NODES_PAD_PX
        self._bank, self._edges = renderer.bank
        self._radius_per_um = 0.0 if view.sharp else 0.5 * view.lens.blur_px_per_um / renderer.pitch_px
        mean = np.zeros(2) if view.path_px is None else view.path_px.mean(axis=0)
        self._shift_x, self._shift_y = float(mean[0]), float(mean[1])
        self._push_x, self._push_y = (s / view.lens.object_um_per_px for s in view.subject_shift_um)
        self._nodes = self._solve_depth(*size_px)

    def _solve_depth(self, width: int, height: int) -> Picture:
        """Depth seen at a coarse grid of output pixels; the perspective depends on it, so it is found by iteration."""
        columns = (width + 2 * self._pad) // self._step + 2
        rows = (height + 2 * self._pad) // self._step + 2
        x = self._still_x(np.arange(columns, dtype=np.float32) * self._step - self._pad)
        y = self._still_y(np.arange(rows, dtype=np.float32) * self._step - self._pad)
        depth: Picture = np.full((rows, columns), self._layer.depth_um.mean(), dtype=np.float32)
        for _ in range(3):
            u, v = self._object(x[None, :], y[:, None], depth)
            column = (u + np.float32(self._layer.canvas_columns / 2)) / DEPTH_PITCH - np.float32(0.5)
            row = (v + np.float32(self._layer.canvas_rows / 2)) / DEPTH_PITCH - np.float32(0.5)
            seen = cv2.remap(self._layer.depth_um, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            depth = single(seen)
        return depth

    def _still_x(self, column: Picture) -> Picture:
        return (column - np.float32(self._axis_x)) * np.float32(self._pitch) - np.float32(self._shift_x)

    def _still_y(self, row: Picture) -> Picture:
        return (row - np.float32(self._axis_y)) * np.float32(self._pitch) - np.float32(self._shift_y)

    def _object(self, x: Picture, y: Picture, depth: Picture) -> tuple[Picture, Picture]:
        """Where on the layer (still pixels from the axis) the picture's points x, y look."""
        shrink = self._view.lens.shrink(depth, self._view.position_um)
        return (
            np.asarray(x * shrink - np.float32(self._push_x), dtype=np.float32),
            np.asarray(y * shrink - np.float32(self._push_y), dtype=np.float32),
        )

    def _depth_at(self, y0: float, x0: float, shape: tuple[int, int], step: int) -> Picture:
        """Depth at a grid of output pixels that starts at (y0, x0)."""
        scale = step / self._step
        matrix = np.array(
            [[scale, 0.0, (x0 + self._pad) / self._step], [0.0, scale, (y0 + self._pad) / self._step]], dtype=np.float64
        )
        return np.asarray(
            cv2.warpAffine(
                self._nodes,
                matrix,
                (shape[1], shape[0]),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )

    def _fetch(self, y0: int, x0: int, shape: tuple[int, int], level: int, pad: int) -> Picture:
        """The layer in perspective, on the output grid of a pyramid level, `pad` of its pixels beyond the tile each way."""
        step = 1 << level
        rows, columns = -(-shape[0] // step) + 2 * pad, -(-shape[1] // step) + 2 * pad
        first_x = x0 + (step - 1) / 2 - pad * step
        first_y = y0 + (step - 1) / 2 - pad * step
        depth = self._depth_at(first_y, first_x, (rows, columns), step)
        x = self._still_x(np.arange(columns, dtype=np.float32) * step + np.float32(first_x))
        y = self._still_y(np.arange(rows, dtype=np.float32) * step + np.float32(first_y))
        u, v = self._object(x[None, :], y[:, None], depth)
        layer = self._layer
        scale_x = np.float32(1.0 / (layer.pitch_x * step))
        scale_y = np.float32(1.0 / (layer.pitch_y * step))
        source = layer.levels[level]
        u = (u + np.float32(layer.canvas_columns / 2)) * scale_x - np.float32(0.5)
        v = (v + np.float32(layer.canvas_rows / 2)) * scale_y - np.float32(0.5)
        return single(cv2.remap(source, unbiased(u), unbiased(v), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))

    def lay_over(self, behind: Picture, y0: int, x0: int) -> Picture:
        """Blur one tile of the layer and lay it over what is `behind` it, shape (rows, columns, 4)."""
        shape = (behind.shape[0], behind.shape[1])
        depth = self._depth_at(y0, x0, shape, 1)
        radius_sq = (depth - np.float32(self._view.position_um)) * np.float32(self._radius_per_um)
        radius_sq *= radius_sq
        low_sq, high_sq, _, _ = cv2.minMaxLoc(radius_sq)
        edges = self._edges
        first = max(int(np.searchsorted(edges, low_sq, side="right")) - 1, 0)
        last = max(min(int(np.searchsorted(edges, high_sq, side="left")), len(edges) - 1), first)
        if self._nothing_here(y0, x0, depth, self._bank[last].reach_px):
            return behind
        out: Picture | None = None
        for k, blurred in enumerate(self._blurred(y0, x0, shape, first, last), start=first):
            if out is None:
                out = blurred
            else:
                share = np.clip((radius_sq - edges[k - 1]) * (1 / (edges[k] - edges[k - 1])), 0.0, 1.0)
                out = np.asarray(cv2.blendLinear(out, blurred, 1 - share, share))
        if out is None or self._layer.opaque:
            return behind if out is None else out
        through = 1 - out[..., 3]
        result = single(cv2.merge((through, through, through, through)))
        result *= behind
        result += out
        return result

    def _nothing_here(self, y0: int, x0: int, depth: Picture, reach_px: int) -> bool:
        if self._layer.opaque:
            return False
        reach = (reach_px + 3) * self._pitch + 3.0
        y = self._still_y(np.array([y0, y0 + depth.shape[0] - 1], dtype=np.float32))
        x = self._still_x(np.array([x0, x0 + depth.shape[1] - 1], dtype=np.float32))
        u, v = self._object(x[None, :], y[:, None], depth[np.ix_([0, -1], [0, -1])])
        return self._layer.empty(
            float(u.min()) - reach, float(u.max()) + reach, float(v.min()) - reach, float(v.max()) + reach
        )

    def _blurred(self, y0: int, x0: int, shape: tuple[int, int], first: int, last: int) -> list[Picture]:
        """The tile blurred by the discs `first` to `last` of the bank."""
        results: list[Picture] = []
        entries = self._bank[first : last + 1]
        for level in sorted({entry.level for entry in entries}):
            group = [entry.kernel for entry in entries if entry.level == level]
            pad = max(kernel.shape[0] // 2 for kernel in group) + (2 if level else 0)
            source = self._fetch(y0, x0, shape, level, pad)
            results.extend(_filtered(source, kernel, shape, level, pad) for kernel in group)
        return results

    def depth_and_cover(self, y0: int, x0: int, shape: tuple[int, int]) -> tuple[Picture, Picture]:
        """Depth and coverage of one tile without any blur."""
        return self._depth_at(y0, x0, shape, 1), self._fetch(y0, x0, shape, 0, 0)[..., 3]


def _filtered(source: Picture, kernel: Kernel, shape: tuple[int, int], level: int, pad: int) -> Picture:
    """Convolve a padded tile, bring it to full pitch and cut the padding off."""
    if kernel.shape[0] > 1:
        source = single(cv2.filter2D(source, -1, kernel, borderType=cv2.BORDER_REFLECT))
    if level == 0:
        return source[pad : pad + shape[0], pad : pad + shape[1]]
    step = 1 << level
    inner = source[pad - 2 : source.shape[0] - pad + 2, pad - 2 : source.shape[1] - pad + 2]
    large = cv2.resize(inner, (inner.shape[1] * step, inner.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    edge = 2 * step
    return np.asarray(large[edge : edge + shape[0], edge : edge + shape[1]])
