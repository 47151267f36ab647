"""Sizes on the subject from flags: what cannot be a size is refused, whatever else is known."""

from __future__ import annotations

import pytest

from capture.app.relief_options import ScaleFlags
from capture.errors import UsageError
from capture.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: object) -> Settings:
    return load_settings(tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "flags",
    [
        ScaleFlags(magnification=0),
        ScaleFlags(magnification=-2),
        ScaleFlags(magnification=float("nan")),
        ScaleFlags(magnification=float("inf")),
        ScaleFlags(pixel="0um"),
        ScaleFlags(pixel="-4um"),
    ],
)
def test_a_size_of_zero_or_less_is_wrong_usage(flags: ScaleFlags, settings: Settings) -> None:
    with pytest.raises(UsageError, match="greater than zero"):
        flags.pixel_um(settings)


def test_pitch_over_magnification(settings: Settings) -> None:
    assert ScaleFlags(magnification=2, pixel="4um").pixel_um(settings) == 2.0
    assert ScaleFlags(magnification=2).pixel_um(settings) is None
