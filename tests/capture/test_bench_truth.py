"""What the bench holds for textured and visible."""

from __future__ import annotations

import numpy as np

from capture.bench.truth import textured

TOLERANCE_UM = 10.0


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.random.default_rng(3).integers(20_000, 40_000, (80, 120, 3)).astype(np.uint16)


def test_a_steep_slope_is_textured_to_its_end() -> None:
    depth = np.broadcast_to(np.arange(120, dtype=np.float32) * 4.0, (80, 120))  # 28 um within the window
    assert textured(picture(), np.ascontiguousarray(depth), TOLERANCE_UM).all()


def test_what_lies_close_behind_an_edge_is_not_counted_on_flat_ground_and_on_slopes() -> None:
    for slope in (0.0, 4.0):
        depth = 500.0 + np.repeat(slope * np.arange(120, dtype=np.float32)[None], 80, axis=0)
        depth[:, 50:53] = 100.0  # a hair
        seen = textured(picture(), depth, TOLERANCE_UM)
        assert seen[:, 50:53].all()
        assert not seen[:, 43:50].any()
        assert not seen[:, 53:60].any()
        assert seen[:, :40].all()
        assert seen[:, 65:].all()
