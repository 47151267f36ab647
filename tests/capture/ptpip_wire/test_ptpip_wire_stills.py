"""The simulated camera as bytes on its port: what it does to the body, transfers, faults."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.bench.ptpip import CameraOptions, SimulatedCamera, packets
from capture.bench.ptpip.codes import (
    ANY,
    EventCode,
    NikonOperation,
    Operation,
    Property,
    Response,
)
from capture.bench.ptpip.packets import LinkClosedError
from capture.bench.ptpip.pattern import StillCarriage
from rail.simulator import DeviceClock
from tests.capture.ptpip_wire.initiator import OPTIONS, PATIENCE_S, SCALE, Initiator, NotingImager, running


# -- stills -----------------------------------------------------------------------------------------------------------
def test_a_pair_on_the_card_is_told_at_once_in_memory_one_after_the_other(client: Initiator) -> None:
    card = client.shoot()
    assert [code for code, _ in card] == [EventCode.OBJECT_ADDED, EventCode.OBJECT_ADDED, EventCode.CAPTURE_COMPLETE]
    first = client.shoot(memory=True)
    assert [code for code, _ in first] == [EventCode.NIKON_OBJECT_ADDED_IN_SDRAM]
    assert client.do(Operation.GET_OBJECT, first[0][1])[2][:2] == b"II"
    second = client.happenings()
    assert [code for code, _ in second] == [
        EventCode.NIKON_OBJECT_ADDED_IN_SDRAM,
        EventCode.NIKON_CAPTURE_COMPLETE_IN_SDRAM,
    ]
    assert client.do(Operation.GET_OBJECT, second[0][1])[2][:2] == b"\xff\xd8"
    assert client.do(Operation.GET_OBJECT, second[0][1])[0] == Response.INVALID_OBJECT_HANDLE
    assert client.do(Operation.DELETE_OBJECT, second[0][1])[0] == Response.OK


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_object_in_parts_is_the_object(client: Initiator, parts: list[int]) -> None:
    handle = client.shoot()[1][1]
    whole = client.do(Operation.GET_OBJECT, handle)[2]
    pieces, offset = b"", 0
    for count in (*parts, 0x7FFFFFFF):
        answer, (got,), data = client.do(Operation.GET_PARTIAL_OBJECT, handle, offset, count)
        assert (answer, got) == (Response.OK, len(data))
        pieces += data
        offset += got
    assert pieces == whole
    assert client.do(Operation.DELETE_OBJECT, handle)[0] == Response.OK


def test_the_shutter_samples_the_carriage_and_every_time_stamp_is_later() -> None:
    with running(carriage=StillCarriage(123.5)) as camera:
        client = Initiator(camera)
        for iso in (100, 400):
            assert (
                client.do(Operation.SET_DEVICE_PROP_VALUE, Property.EXPOSURE_INDEX, send=struct.pack("<H", iso))[0]
                == Response.OK
            )
            client.shoot()
        notes = camera._body.imager.notes
        assert [(note[0].iso, note[1].position_um, note[3]) for note in notes] == [(100, 123.5, 1), (400, 123.5, 2)]
        assert len(notes[0][2]) == len("2024:05:06 07:08:09.123")
        assert notes[0][2] < notes[1][2]
        assert camera.shots == 2
        client.close()


def test_the_lens_drive_moves_the_plane_of_focus(client: Initiator, camera: SimulatedCamera) -> None:
    assert client.do(NikonOperation.MF_DRIVE, 2, 100)[0] == Response.NIKON_NOT_LIVE_VIEW
    assert client.do(NikonOperation.START_LIVE_VIEW)[0] == Response.OK
    assert client.do(NikonOperation.MF_DRIVE, 3, 100)[0] == Response.INVALID_PARAMETER
    before = camera.lens_offset_um
    assert client.do(NikonOperation.MF_DRIVE, 2, 400)[0] == Response.OK
    assert client.ready() == Response.OK
    assert camera.lens_offset_um == before + 100
    client.shoot()
    assert camera._body.imager.notes[-1][1].position_um == camera.lens_offset_um
    assert client.do(NikonOperation.MF_DRIVE, 2, 0x7FFF)[0] == Response.OK
    assert client.ready() == Response.NIKON_MF_DRIVE_STEP_END
    assert client.do(NikonOperation.MF_DRIVE, 2, 100)[0] == Response.NIKON_MF_DRIVE_STEP_END
    assert client.do(NikonOperation.END_LIVE_VIEW)[0] == Response.OK


def test_a_bulb_exposure_lasts_until_it_is_ended() -> None:
    with running() as camera:
        client = Initiator(camera)
        bulb = struct.pack("<I", 0xFFFFFFFF)
        assert client.do(NikonOperation.TERMINATE_CAPTURE, 0, 0)[0] == Response.CAPTURE_ALREADY_TERMINATED
        assert client.do(Operation.SET_DEVICE_PROP_VALUE, Property.NIKON_EXPOSURE_TIME, send=bulb)[0] == Response.OK
        assert client.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.OK
        assert client.do(NikonOperation.DEVICE_READY)[0] == Response.NIKON_BULB_RELEASE_BUSY
        assert client.do(NikonOperation.TERMINATE_CAPTURE, 0, 0)[0] == Response.OK
        assert client.ready() == Response.OK
        assert len(client.happenings()) == 3
        assert 0 < camera._body.imager.notes[0][0].shutter_s < 900
        client.close()


def test_live_view_is_off_after_its_session(camera: SimulatedCamera) -> None:
    client = Initiator(camera)
    assert client.do(NikonOperation.GET_LIVE_VIEW_IMAGE)[0] == Response.NIKON_NOT_LIVE_VIEW
    client.do(NikonOperation.START_LIVE_VIEW)
    assert b"\xff\xd8" in client.do(NikonOperation.GET_LIVE_VIEW_IMAGE)[2]
    assert camera.live
    client.close()
    Initiator(camera).close()
    assert not camera.live


# -- properties -------------------------------------------------------------------------------------------------------
def test_a_property_takes_what_it_offers_and_nothing_else(client: Initiator) -> None:
    set_ = Operation.SET_DEVICE_PROP_VALUE
    assert client.do(set_, Property.F_NUMBER, send=struct.pack("<H", 800))[0] == Response.OK
    assert client.do(Operation.GET_DEVICE_PROP_VALUE, Property.F_NUMBER)[2] == struct.pack("<H", 800)
    assert client.do(set_, Property.F_NUMBER, send=struct.pack("<H", 801))[0] == Response.INVALID_DEVICE_PROP_VALUE
    assert client.do(set_, Property.F_NUMBER, send=b"\1")[0] == Response.INVALID_DEVICE_PROP_FORMAT
    assert client.do(set_, Property.BATTERY_LEVEL, send=b"\1")[0] == Response.ACCESS_DENIED
    assert client.do(set_, 0x5FFF, send=b"\1")[0] == Response.DEVICE_PROP_NOT_SUPPORTED
    assert client.do(Operation.GET_DEVICE_PROP_DESC, 0x5FFF)[0] == Response.DEVICE_PROP_NOT_SUPPORTED


# -- speed, faults ----------------------------------------------------------------------------------------------------
def test_a_transfer_takes_the_time_its_speed_says() -> None:
    clock = DeviceClock(SCALE)
    with running(replace(OPTIONS, transfer_bytes_per_s=20_000.0)) as camera:
        client = Initiator(camera)
        handle = client.shoot()[0][1]
        began = clock.now()
        size = len(client.do(Operation.GET_OBJECT, handle)[2])
        assert clock.now() - began >= 0.99 * size / 20_000
        client.close()


def test_a_fault_that_ends_the_link_leaves_a_camera_that_can_be_reached_again(camera: SimulatedCamera) -> None:
    client = Initiator(camera)
    handle = client.shoot()[0][1]
    camera.inject("cut_transfer", {"after": 0.3})
    with pytest.raises(LinkClosedError):
        client.do(Operation.GET_OBJECT, handle)
    client.close()
    again = Initiator(camera)
    assert again.do(Operation.GET_OBJECT, handle)[0] == Response.OK, "the card still has it"
    camera.inject("unplug", {"seconds": 5.0})
    with pytest.raises(LinkClosedError):
        again.do(Operation.GET_STORAGE_IDS)
    again.close()
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            Initiator(camera).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end


def test_a_dead_camera_comes_back_when_the_fault_is_cleared_or_it_is_plugged_in() -> None:
    with running() as camera:
        for revive in (lambda: camera.clear("die_after"), lambda: camera.inject("plug", {})):
            client = Initiator(camera)
            camera.inject("die_after", {"shots": 1, "when": "exposing"})
            shots = camera.shots
            client.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)
            with pytest.raises(LinkClosedError):
                client.ready()
            client.close()
            assert camera.shots == shots, "it died before the shot was one"
            with pytest.raises(ConnectionRefusedError):
                Initiator(camera)
            revive()
            back = Initiator(camera)
            assert back.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
            back.close()


def test_a_camera_that_was_stopped_can_be_started_at_its_old_port() -> None:
    with running() as camera:
        client = Initiator(camera)
        port = int(camera.port.rsplit(":", 1)[1])
    with pytest.raises(LinkClosedError):
        client.do(Operation.GET_STORAGE_IDS)
    client.close()
    with running(replace(OPTIONS, port=port)) as camera:
        again = Initiator(camera)
        assert again.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
        again.close()


def test_an_imager_that_fails_leaves_a_body_that_goes_on() -> None:
    with running() as camera:
        client = Initiator(camera)
        good = camera._body.imager
        camera._body.imager = None  # type: ignore[assignment]
        assert client.shoot() == []
        assert client.do(NikonOperation.START_LIVE_VIEW)[0] == Response.OK
        assert client.do(NikonOperation.GET_LIVE_VIEW_IMAGE)[0] == Response.GENERAL_ERROR
        camera._body.imager = good
        assert len(client.shoot()) == 3
        client.close()


def test_a_full_card_refuses_before_it_exposes() -> None:
    with running(replace(OPTIONS, card_bytes=20_000)) as camera:
        client = Initiator(camera)
        handles = [handle for code, handle in client.shoot() if code == EventCode.OBJECT_ADDED]
        shots = 1
        while client.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.OK:
            client.ready()
            shots += 1
            assert shots < 10
        assert client.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.STORE_FULL
        assert camera.shots == shots
        for handle in handles:
            client.do(Operation.GET_OBJECT, handle)
        assert client.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.OK, "what was fetched makes room"
        assert client.ready() == Response.OK
        client.close()


def test_a_shot_that_finds_no_room_is_told() -> None:
    with running(replace(OPTIONS, card_bytes=5_000)) as camera:
        client = Initiator(camera)
        assert EventCode.STORE_FULL in [code for code, _ in client.shoot()]
        client.close()


def test_plain_ptp_sends_its_events_on_the_event_connection() -> None:
    with running(replace(OPTIONS, maker="generic")) as camera:
        client = Initiator(camera)
        assert client.do(NikonOperation.DEVICE_READY)[0] == Response.OPERATION_NOT_SUPPORTED
        assert client.do(Operation.INITIATE_CAPTURE, 0, 0)[0] == Response.OK
        told = [struct.unpack_from("<HII", packets.read_packet(client.events).body) for _ in range(3)]
        assert [event[0] for event in told] == [
            EventCode.OBJECT_ADDED,
            EventCode.OBJECT_ADDED,
            EventCode.CAPTURE_COMPLETE,
        ]
        assert client.do(Operation.GET_OBJECT, told[0][2])[2][:2] == b"II"
        client.close()


def test_a_maker_nobody_speaks_is_refused() -> None:
    with pytest.raises(ValueError, match="nikon"):
        SimulatedCamera(NotingImager(), StillCarriage(), DeviceClock(SCALE), CameraOptions(maker="box"))
