"""What every camera must do, whatever it is: run on cameras without hardware always, and on a real one where there is one.

A subclass gives the fixtures `camera` (an open camera) and `renew` (called before each shot: makes the next picture differ).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.camera.protocol import Camera, CaptureTarget, FileFormat, Role, RoleState, Shot
from capture.camera.values import format_of, same, target_of
from capture.errors import CameraError, CameraLostError, CameraSettingError, ShotRefusedError

EXPOSURE = (Role.ISO, Role.SHUTTER, Role.APERTURE)


def writable(camera: Camera, role: Role) -> RoleState:
    state = camera.info().roles[role]
    if state is None or state.read_only or len(state.choices) < 2:
        pytest.skip(f"this camera has no {role.value} to change")
    return state


def check_files(shot: Shot, folder: Path, stem: str) -> None:
    for file in shot.files:
        data = file.path.read_bytes()
        assert file.path.parent == folder
        assert file.path.stem == stem
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size_bytes, file.sha256)
    assert {path.name for path in folder.iterdir() if path.stem == stem or path.name.startswith(f".{stem}.")} == {
        file.path.name for file in shot.files
    }


class CameraSuite:
    """Tests of the protocol `Camera`."""

    @pytest.fixture
    def shoot(self, camera: Camera, renew: Callable[[], None], tmp_path: Path) -> Callable[[str], Shot]:
        def take(stem: str) -> Shot:
            renew()
            return camera.shoot(tmp_path, stem)

        return take

    def test_info_names_the_camera_and_every_role(self, camera: Camera) -> None:
        info = camera.info()
        assert info.model
        assert set(info.roles) == set(Role)

    def test_get_agrees_with_info(self, camera: Camera) -> None:
        for role, state in camera.info().roles.items():
            if state is None:
                with pytest.raises(CameraSettingError, match=role.value):
                    camera.get(role)
            elif role in EXPOSURE:
                assert camera.get(role) == state

    @pytest.mark.parametrize("role", EXPOSURE)
    def test_a_choice_that_is_set_stands(self, camera: Camera, role: Role) -> None:
        before = writable(camera, role)
        others = [choice for choice in before.choices if not same(role, choice, before.value)]
        wished = others[len(others) // 2]
        try:
            assert camera.set(role, wished).value == wished
            assert camera.get(role).value == wished
        finally:
            camera.set(role, before.value)
        assert camera.get(role).value == before.value

    @pytest.mark.parametrize(
        ("role", "value"), [(Role.ISO, "123456789"), (Role.SHUTTER, "9999"), (Role.APERTURE, "0.01")]
    )
    def test_a_value_that_is_not_offered_is_refused_with_the_nearest(
        self, camera: Camera, role: Role, value: str
    ) -> None:
        before = writable(camera, role)
        with pytest.raises(CameraSettingError) as refusal:
            camera.set(role, value)
        assert any(choice in refusal.value.remedy for choice in before.choices)
        assert camera.get(role).value == before.value

    def test_a_shot_arrives_whole_under_our_name(self, shoot: Callable[[str], Shot], tmp_path: Path) -> None:
        shot = shoot("0001")
        assert shot.files
        check_files(shot, tmp_path, "0001")

    def test_shots_differ_and_come_in_order(self, shoot: Callable[[str], Shot], tmp_path: Path) -> None:
        shots = [shoot(f"{number:04d}") for number in range(3)]
        digests = [file.sha256 for shot in shots for file in shot.files]
        assert len(set(digests)) == len(digests)
        times = [str(shot.exposure.get("time", "")) for shot in shots]
        assert times == sorted(times)
        for number, shot in enumerate(shots):
            check_files(shot, tmp_path, f"{number:04d}")

    def test_nothing_is_overwritten(self, camera: Camera, tmp_path: Path) -> None:
        kept = tmp_path / "0001.txt"
        kept.write_text("mine")
        with pytest.raises(ShotRefusedError, match=r"0001\.txt"):
            camera.shoot(tmp_path, "0001")
        assert [path.name for path in tmp_path.iterdir()] == ["0001.txt"]
        assert kept.read_text() == "mine"

    def test_a_folder_that_is_none_is_refused_before_anything_is_exposed(self, camera: Camera, tmp_path: Path) -> None:
        with pytest.raises(ShotRefusedError, match="no folder"):
            camera.shoot(tmp_path / "none", "0001")

    @pytest.mark.parametrize("target", CaptureTarget)
    def test_both_targets_bring_the_picture_here(
        self, camera: Camera, shoot: Callable[[str], Shot], tmp_path: Path, target: CaptureTarget
    ) -> None:
        before = writable(camera, Role.TARGET)
        try:
            assert target_of(camera.set(Role.TARGET, target.value).value) is target
            check_files(shoot("0001"), tmp_path, "0001")
        finally:
            camera.set(Role.TARGET, before.value)

    @pytest.mark.parametrize("wished", FileFormat)
    def test_a_shot_has_the_files_of_its_format(
        self, camera: Camera, shoot: Callable[[str], Shot], tmp_path: Path, wished: FileFormat
    ) -> None:
        before = writable(camera, Role.FORMAT)
        if wished not in {format_of(choice) for choice in before.choices}:
            pytest.skip(f"this camera makes no {wished.value}")
        raws = {FileFormat.RAW: [True], FileFormat.JPEG: [False], FileFormat.RAW_JPEG: [True, False]}
        try:
            assert format_of(camera.set(Role.FORMAT, wished.value).value) is wished
            shot = shoot("0001")
            assert [file.raw for file in shot.files] == raws[wished]
            check_files(shot, tmp_path, "0001")
        finally:
            camera.set(Role.FORMAT, before.value)

    def test_a_live_frame_is_a_picture_and_live_view_ends(self, camera: Camera) -> None:
        state = camera.info().roles[Role.LIVE_VIEW]
        if state is None:
            pytest.skip("this camera has no switch for live view")
        assert camera.preview().jpeg.startswith(b"\xff\xd8")
        assert camera.get(Role.LIVE_VIEW).value == "0"

    def test_a_camera_without_live_view_says_so(self, camera: Camera) -> None:
        if camera.info().roles[Role.LIVE_VIEW] is not None:
            pytest.skip("this camera has live view")
        if camera.info().roles[Role.FOCUS_DRIVE] is not None:
            pytest.skip("this camera may show live frames without a switch")
        with pytest.raises(CameraError) as refusal:
            camera.preview()
        assert refusal.value.message
        assert refusal.value.remedy

    def test_a_stream_flows_and_ends_with_its_context(self, camera: Camera) -> None:
        if camera.info().roles[Role.LIVE_VIEW] is None:
            pytest.skip("this camera has no switch for live view")
        with camera.live() as frames:
            arrived = [next(frames).arrived_s for _ in range(4)]
            assert arrived == sorted(arrived)
            assert camera.get(Role.LIVE_VIEW).value == "1"
        assert camera.get(Role.LIVE_VIEW).value == "0"

    def test_live_view_ends_when_what_used_it_failed(self, camera: Camera) -> None:
        if camera.info().roles[Role.LIVE_VIEW] is None:
            pytest.skip("this camera has no switch for live view")

        def use() -> None:
            with camera.live() as frames:
                next(frames)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            use()
        assert camera.get(Role.LIVE_VIEW).value == "0"

    def test_a_shot_between_live_frames(self, camera: Camera, shoot: Callable[[str], Shot], tmp_path: Path) -> None:
        if camera.info().roles[Role.LIVE_VIEW] is None:
            pytest.skip("this camera has no switch for live view")
        with camera.live() as frames:
            next(frames)
            check_files(shoot("0001"), tmp_path, "0001")
            assert next(frames).jpeg.startswith(b"\xff\xd8")

    def test_a_closed_camera_says_so(self, camera: Camera, tmp_path: Path) -> None:
        camera.close()
        camera.close()
        for call in (camera.info, camera.preview, lambda: camera.get(Role.ISO), lambda: camera.shoot(tmp_path, "0001")):
            with pytest.raises(CameraLostError, match="closed"):
                call()
