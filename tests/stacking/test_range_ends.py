"""Nothing is clipped that no frame has clipped: whatever the light, the colour and the method."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from stacking.areas import levelled
from stacking.fuse.range_ends import brightened, moved_within_ends, within_ends
from stacking.options import Align, Crop, Method, StackOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures

U8 = NDArray[np.uint8]
WIDTH, HEIGHT, FRAMES = 224, 160, 6
# What resampling and a shift of less than a pixel reach.
AROUND = np.ones((7, 7), np.uint8)


def scene(seed: int) -> NDArray[np.float64]:
    """Texture with highlights just below white in one, two or three channels, shadows just above black, and some at the ends."""
    rng = np.random.default_rng(seed)
    picture = 128 + 45 * cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH, 3)), (0, 0), 1.0)
    for number in range(70):
        channels = 1 + rng.permutation(7)[0]
        level = (253, 251, 247, 3, 5, 255, 0)[number % 7]
        x, y, size = int(rng.integers(8, WIDTH - 8)), int(rng.integers(8, HEIGHT - 8)), int(rng.integers(1, 6))
        colour = [level if channels >> c & 1 else 90.0 + 20 * c for c in range(3)]
        cv2.ellipse(picture, (x, y), (size, size), 0, 0, 360, colour, -1)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.4), 0, 255)


def frames_of(seed: int, jitter: float, scale: int) -> list[NDArray[np.uint8]]:
    """A plane that leans back; each frame's light is its own."""
    rng = np.random.default_rng(seed + 100)
    sharp = scene(seed)
    blurred = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), s) for s in (0.8, 1.6, 2.4, 3.2))]
    place = np.linspace(0, FRAMES - 1, WIDTH)[None, :, None]
    frames = []
    for k in range(FRAMES):
        away = np.minimum(np.abs(place - k), len(blurred) - 1.001)
        image = sum(b * np.clip(1 - np.abs(away - j), 0, 1) for j, b in enumerate(blurred))
        light = 1.0 if k == FRAMES // 2 else rng.uniform(1 - jitter, 1)
        frames.append(np.asarray(np.rint(np.asarray(image) * light), np.uint8))
    return frames


def newly_at_an_end(result: NDArray[np.uint16], frames: list[U8]) -> int:
    """Samples that are at an end of eight bits where no frame is near by."""
    brightest = np.max([cv2.dilate(frame, AROUND) for frame in frames], axis=0)
    darkest = np.min([cv2.erode(frame, AROUND) for frame in frames], axis=0)
    eight_bit = np.rint(result / 257.0)
    return int(((eight_bit == 255) & (brightest < 255)).sum() + ((eight_bit == 0) & (darkest > 0)).sum())


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("method", "slabs"),
    [
        (Method.AUTO, SlabOptions()),
        (Method.PYRAMID, SlabOptions()),
        (Method.DEPTHMAP, SlabOptions()),
        (Method.AVERAGE, SlabOptions()),
        (Method.AUTO, SlabOptions((3,), 1, Method.DEPTHMAP)),
    ],
)
def test_nothing_is_clipped_that_no_frame_has_clipped(
    method: Method, slabs: SlabOptions, seed: int, tmp_path: Path
) -> None:
    frames = frames_of(seed, 0.06, 1)
    for k, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"f{k}.png"), frame[..., ::-1])
    out = tmp_path / "out.tif"
    stack_pictures([tmp_path], out, StackOptions(align=Align.AUTO, method=method, slabs=slabs, crop=Crop.NONE))
    result = tifffile.imread(out)
    assert newly_at_an_end(result, frames) == 0


def test_what_lies_between_the_ends_is_not_touched_and_what_comes_near_keeps_its_order() -> None:
    values = np.linspace(-30, 290, 3201).astype(np.float32)
    held = np.array([within_ends(v, np.float32(1), np.float32(1)) for v in values])
    between = (values >= 4) & (values <= 250)
    np.testing.assert_array_equal(held[between], values[between])
    assert np.diff(held).min() > -1e-4  # rounding
    assert held.min() > 0.5
    assert held.max() < 254.5
    # where a frame is at that end itself
    open_ended = np.array([within_ends(v, np.float32(0), np.float32(0)) for v in values])
    np.testing.assert_array_equal(open_ended, values)
    for change in (-40, -1, 0, 1, 40):
        moved = np.array([moved_within_ends(np.float32(v), np.float32(change)) for v in np.arange(1, 255)])
        assert moved.min() > 0.5
        assert moved.max() < 254.5
        assert (np.diff(moved) > 0).all()


def test_a_picture_made_brighter_keeps_what_is_white_and_makes_nothing_white() -> None:
    values = np.arange(65536, dtype=np.float32)
    out = brightened(values, np.float32(1.1), 65535)
    assert out[-1] > 65535
    assert out[:-1].max() < 254.5 * 257
    assert np.diff(out).min() > -0.02  # rounding
    np.testing.assert_allclose(out[:50000], values[:50000] * 1.1, rtol=1e-6)
    np.testing.assert_array_equal(brightened(values, np.float32(0.9), 65535), values * np.float32(0.9))


def test_an_area_levelled_to_brighter_surroundings_clips_nothing() -> None:
    rng = np.random.default_rng(3)
    part = rng.integers(30000, 65000, (96, 96, 3)).astype(np.uint16)
    around = np.asarray(np.minimum(part * 1.2, 65535), np.uint16)
    weight = np.full((96, 96), 255, np.uint8)
    weight[:, 40:56] = 128
    levelled(part, around, weight)
    assert part.mean() > 50000
    assert part.max() < 254.5 * 257
