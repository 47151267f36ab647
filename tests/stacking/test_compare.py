from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.compare import psnr_db
from stacking.errors import RegistrationError


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint16]:
    rng = np.random.default_rng(3)
    base = cv2.resize(rng.random((40, 60, 3), np.float32), (480, 320), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.random((320, 480, 3), np.float32), (0, 0), 1.5)
    return (np.clip(0.2 + 0.5 * base + 2 * (fine - 0.5), 0, 1) * 65535).astype(np.uint16)


def test_noise_of_known_size_gives_its_psnr(picture: NDArray[np.uint16]) -> None:
    rng = np.random.default_rng(4)
    inner = np.clip(picture.astype(np.float32), 8000, 57000)
    noisy = inner + rng.normal(0, 0.01 * 65535, inner.shape)
    assert psnr_db(noisy.astype(np.uint16), inner.astype(np.uint16)) == pytest.approx(40, abs=0.1)


def test_a_crop_and_a_small_scale_are_forgiven(picture: NDArray[np.uint16]) -> None:
    matrix = np.float32([[1.004, 0.001, -1.3], [-0.001, 1.004, 0.8]])
    moved = cv2.warpAffine(picture, matrix, (480, 320), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    assert psnr_db(moved, picture) > 38
    assert psnr_db(picture[20:, 30:], picture, offset_px=(30, 20)) > 60


def test_blur_is_not_forgiven(picture: NDArray[np.uint16]) -> None:
    assert psnr_db(cv2.GaussianBlur(picture, (0, 0), 3), picture) < 30


def test_different_scenes_are_refused_or_far_apart(picture: NDArray[np.uint16]) -> None:
    other = np.zeros_like(picture)
    with pytest.raises(RegistrationError):
        psnr_db(other, picture)
