"""Travel against drawn lines that move across the picture, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.app.main import run
from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.errors import ConfigurationError, FocusError
from capture.focus.bands import linear_gray
from capture.focus.ruled_travel import measure_travel


class Ruler:
    """A `View` of black lines `spacing_um` apart at some angle, which move `scale` times as far as the axis believes."""

    def __init__(self, *, px: float, spacing_um: float, scale: float, angle_deg: float = 8.0, seed: int = 1) -> None:
        self.px, self.spacing_um, self.scale = px, spacing_um, scale
        self.angle = np.radians(angle_deg)
        self.limits = (-20_000.0, 20_000.0)
        self.resolution = 0.625
        self.here = 0.0
        self.slips_beyond = np.inf
        self._rng = np.random.default_rng(seed)

    def frame(self, position: float) -> tuple[float, NDArray[np.float32]]:
        self.here = round(position / self.resolution) * self.resolution
        return self.here, self.again()

    def again(self) -> NDArray[np.float32]:
        y, x = np.mgrid[:160, :240]
        true_um = self.scale * min(self.here, self.slips_beyond)
        lines = (np.cos(self.angle) * x + np.sin(self.angle) * y) / self.px - true_um / self.spacing_um
        drawn = (0.4 + 0.3 * np.tanh(1.5 * np.sin(2 * np.pi * lines))) * (0.8 + 0.2 * x / 240)
        blurred = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 1.2)
        return np.asarray(blurred * (1 + 0.02 * self._rng.standard_normal()) + self._noise(), np.float32)

    def _noise(self) -> NDArray[np.float64]:
        return 0.01 * self._rng.standard_normal((160, 240))


@settings(max_examples=5, deadline=None)
@given(
    px=st.floats(6.0, 30.0), scale=st.floats(0.6, 1.7), angle_deg=st.floats(-40.0, 40.0), distance=st.floats(300, 9000)
)
def test_the_travel_is_told_to_a_hundredth_of_a_line(
    px: float, scale: float, angle_deg: float, distance: float
) -> None:
    view = Ruler(px=px, spacing_um=500.0, scale=scale, angle_deg=angle_deg)
    told = measure_travel(view, 500.0, distance)
    assert told == pytest.approx(scale * view.here, abs=5.0)


def test_the_direction_does_not_matter() -> None:
    assert measure_travel(Ruler(px=20, spacing_um=100, scale=-1.02), 100.0, 2000.0) == pytest.approx(2040, abs=1.0)


def test_lines_that_stand_still_slip_or_are_not_there_are_refused() -> None:
    with pytest.raises(FocusError, match="the lines moved by"):
        measure_travel(Ruler(px=20, spacing_um=100, scale=0.0), 100.0, 2000.0)
    slipping = Ruler(px=20, spacing_um=100, scale=1.0)
    slipping.slips_beyond = 730.0
    with pytest.raises(FocusError, match="were lost after"):
        measure_travel(slipping, 100.0, 2000.0)
    with pytest.raises(FocusError, match="no evenly ruled lines"):
        measure_travel(Ruler(px=40_000, spacing_um=100, scale=1.0), 100.0, 2000.0)


@pytest.mark.parametrize("more", [("--measured", "9.9mm"), ()])
def test_a_spacing_excludes_readings_and_must_be_a_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    assert run(["rail", "calibrate", "steps", "--spacing", "1mm" if more else "0mm", *more, "--json"]) == 2
    assert "--spacing" in json.loads(capsys.readouterr().out)["error"]["message"]


class Across:
    """A `View` of the bench's ruler where a carriage stands whose steps are longer than it counts."""

    def __init__(self, imager: SceneImager, stretched: float) -> None:
        self.limits, self.here, self.resolution = (-5000.0, 5000.0), 0.0, 0.5
        self._imager, self._stretched = imager, stretched

    def frame(self, position: float) -> tuple[float, NDArray[np.float32]]:
        at = CarriageSample(position * self._stretched, 1e9, False)
        jpeg = self._imager.live_jpeg(ExposureSettings(100, 1 / 60, 2.8), at=at, frame=1)
        encoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        return position, linear_gray(np.asarray(encoded, np.uint8))

    def again(self) -> NDArray[np.float32]:
        raise AssertionError("a ruler is looked at once")


def test_a_ruler_moves_across_the_picture_as_the_carriage_goes() -> None:
    imager = SceneImager(SceneOptions(sensor_px=(480, 320), live_scale=1.5, magnification=1.0, ruler_um=100.0))
    assert measure_travel(Across(imager, 1.07), 100.0, 2000.0) == pytest.approx(2140, abs=1.0)
    with pytest.raises(ConfigurationError, match="some way apart"):
        SceneOptions(ruler_um=0.0)
