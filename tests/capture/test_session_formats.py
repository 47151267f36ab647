"""What files a session asks for where nobody says: RAW of cameras that know the word, else what the camera stands at."""

from __future__ import annotations

import pytest

from capture.app.session_beginning import set_camera
from capture.camera.opening import open_camera
from capture.camera.protocol import Role
from capture.errors import CameraSettingError
from capture.settings import Settings
from tests.capture.camera_bench import NetworkCamera


def test_a_camera_whose_formats_are_codes_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with NetworkCamera("--maker", "generic", "--size", "60x40") as plain, open_camera(plain.port) as camera:
        before = camera.get(Role.FORMAT).value
        assert set_camera(camera, Settings({}), {"iso": "200"}) == {"iso": "200"}
        assert f"its files stay {before}" in capsys.readouterr().err
        assert camera.get(Role.FORMAT).value == before
        with pytest.raises(CameraSettingError, match="does not offer RAW"):
            set_camera(camera, Settings({}), {"format": "RAW"})
