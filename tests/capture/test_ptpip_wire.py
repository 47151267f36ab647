"""The simulated camera as bytes on its port: sessions, refusals, garbage, transfers, and what it does to the body."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.bench.ptpip import CameraOptions, SimulatedCamera, packets
from capture.bench.ptpip.codes import (
    ANY,
    EventCode,
    InitFailReason,
    NikonOperation,
    Operation,
    PacketType,
    Property,
    Response,
)
from capture.bench.ptpip.packets import LinkClosedError, OperationRequest
from capture.bench.ptpip.pattern import PatternImager, PatternNegative, StillCarriage
from capture.bench.ptpip.settings import BodySettings, Quality
from rail.simulator import DeviceClock

SCALE = 50.0
PATIENCE_S = 20.0


class NotingImager(PatternImager):
    """Test patterns, and a note of each exposure."""

    def __init__(self) -> None:
        super().__init__(64, 48)
        object.__setattr__(self, "notes", [])

    def expose(self, settings: ExposureSettings, *, at: CarriageSample, taken: str, serial: int) -> PatternNegative:
        self.notes.append((settings, at, taken, serial))
        return super().expose(settings, at=at, taken=taken, serial=serial)


class Initiator:
    """The smallest client there can be."""

    def __init__(self, camera: SimulatedCamera, *, session: bool = True) -> None:
        self.address = ("127.0.0.1", int(camera.port.rsplit(":", 1)[1]))
        self.command = self.connect()
        self.command.sendall(packets.InitCommandRequest(bytes(16), "test").encode())
        self.answer = packets.read_packet(self.command)
        self.transaction = 0
        self.events: socket.socket | None = None
        if self.answer.kind == PacketType.INIT_COMMAND_ACK:
            self.events = self.connect()
            self.events.sendall(packets.init_event_request(struct.unpack_from("<I", self.answer.body)[0]))
            assert packets.read_packet(self.events).kind == PacketType.INIT_EVENT_ACK
            if session:
                assert self.do(Operation.OPEN_SESSION, 1)[0] == Response.OK

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE_S)

    def do(self, code: int, *parameters: int, send: bytes | None = None) -> tuple[int, tuple[int, ...], bytes]:
        """Response code, its parameters, and the data that came before it."""
        self.transaction += 1
        self.command.sendall(OperationRequest(code, self.transaction, parameters, send is not None).encode())
        if send is not None:
            self.command.sendall(packets.start_data(self.transaction, len(send)))
            self.command.sendall(packets.data_header(self.transaction, len(send), last=True) + send)
        data = b""
        while True:
            packet = packets.read_packet(self.command)
            if packet.kind == PacketType.OPERATION_RESPONSE:
                answer, transaction = struct.unpack_from("<HI", packet.body)
                assert transaction == self.transaction
                return answer, struct.unpack_from(f"<{(len(packet.body) - 6) // 4}I", packet.body, 6), data
            if packet.kind in (PacketType.DATA, PacketType.END_DATA):
                data += packet.body[4:]

    def happenings(self) -> list[tuple[int, int]]:
        _, _, data = self.do(NikonOperation.GET_EVENT)
        return [struct.unpack_from("<HI", data, 2 + 6 * n) for n in range(struct.unpack_from("<H", data)[0])]

    def ready(self) -> int:
        end = time.monotonic() + PATIENCE_S
        while (answer := self.do(NikonOperation.DEVICE_READY)[0]) == Response.DEVICE_BUSY:
            assert time.monotonic() < end
        return answer

    def shoot(self, *, memory: bool = False) -> list[tuple[int, int]]:
        assert self.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, int(memory))[0] == Response.OK
        assert self.ready() == Response.OK
        return self.happenings()

    def close(self) -> None:
        for link in (self.command, self.events):
            if link is not None:
                link.close()


OPTIONS = CameraOptions(settings=BodySettings(quality=Quality(raw=True, jpeg="fine")))


@contextlib.contextmanager
def running(options: CameraOptions = OPTIONS, carriage: StillCarriage | None = None) -> Iterator[SimulatedCamera]:
    with SimulatedCamera(NotingImager(), carriage or StillCarriage(), DeviceClock(SCALE), options) as camera:
        yield camera


@pytest.fixture(scope="module")
def camera() -> Iterator[SimulatedCamera]:
    with running() as one:
        yield one


@pytest.fixture
def client(camera: SimulatedCamera) -> Iterator[Initiator]:
    one = Initiator(camera)
    yield one
    one.close()
    for name in camera.faults():
        if name != "plug":
            camera.clear(name)


# -- sessions ---------------------------------------------------------------------------------------------------------
def test_nothing_but_its_identity_is_told_without_a_session(camera: SimulatedCamera) -> None:
    client = Initiator(camera, session=False)
    assert client.do(Operation.GET_DEVICE_INFO)[0] == Response.OK
    assert client.do(Operation.GET_STORAGE_IDS)[0] == Response.SESSION_NOT_OPEN
    assert client.do(Operation.OPEN_SESSION, 0)[0] == Response.INVALID_PARAMETER
    assert client.do(Operation.OPEN_SESSION, 7)[0] == Response.OK
    assert client.do(Operation.OPEN_SESSION, 8)[:2] == (Response.SESSION_ALREADY_OPEN, (7,))
    assert client.do(Operation.CLOSE_SESSION)[0] == Response.OK
    assert client.do(Operation.GET_STORAGE_IDS)[0] == Response.SESSION_NOT_OPEN
    client.close()


def test_a_second_initiator_is_turned_away_and_a_dead_one_is_replaced(camera: SimulatedCamera) -> None:
    first = Initiator(camera)
    second = Initiator(camera)
    assert (second.answer.kind, second.answer.body) == (PacketType.INIT_FAIL, struct.pack("<I", InitFailReason.BUSY))
    second.close()
    assert first.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
    first.close()
    third = Initiator(camera)
    assert third.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
    third.close()


def test_one_that_dies_within_a_shot_is_replaced_and_the_card_keeps_the_shot() -> None:
    slow = replace(OPTIONS, settings=OPTIONS.settings.changed("shutter_s", OPTIONS.settings.shutter_s * 600))
    with running(slow) as camera:
        first = Initiator(camera)
        assert first.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.OK
        assert first.do(NikonOperation.CAPTURE_IN_MEDIA, ANY, 0)[0] == Response.DEVICE_BUSY
        assert first.do(Operation.SET_DEVICE_PROP_VALUE, Property.EXPOSURE_INDEX, send=b"\xc8\0")[0] == (
            Response.DEVICE_BUSY
        )
        first.close()
        second = Initiator(camera)
        assert second.ready() == Response.OK
        assert [code for code, _ in second.happenings()] == [
            EventCode.OBJECT_ADDED,
            EventCode.OBJECT_ADDED,
            EventCode.CAPTURE_COMPLETE,
        ]
        second.close()


def test_a_shot_in_memory_does_not_outlive_its_session(camera: SimulatedCamera) -> None:
    first = Initiator(camera)
    handle = first.shoot(memory=True)[0][1]
    first.close()
    second = Initiator(camera)
    assert second.happenings() == []
    assert second.do(Operation.GET_OBJECT, handle)[0] == Response.INVALID_OBJECT_HANDLE
    second.close()


# -- garbage ----------------------------------------------------------------------------------------------------------
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(min_size=1, max_size=80), st.booleans())
def test_garbage_ends_its_own_connection_and_nothing_else(camera: SimulatedCamera, data: bytes, framed: bool) -> None:
    sent = packets.Packet(data[0], data[1:]).encode() if framed else data
    link = socket.create_connection(("127.0.0.1", int(camera.port.rsplit(":", 1)[1])), timeout=PATIENCE_S)
    with link, contextlib.suppress(OSError):
        link.sendall(sent)
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):
            pass
    client = Initiator(camera)
    assert client.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
    client.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 15), st.binary(max_size=60))
def test_garbage_within_a_session_drops_the_link_or_is_answered(
    camera: SimulatedCamera, kind: int, body: bytes
) -> None:
    client = Initiator(camera)
    with contextlib.suppress(LinkClosedError, OSError):
        client.command.sendall(packets.Packet(kind, body).encode())
        client.command.shutdown(socket.SHUT_WR)
        while True:
            packets.read_packet(client.command)
    client.close()
    after = Initiator(camera)
    assert after.do(Operation.GET_STORAGE_IDS)[0] == Response.OK
    after.close()


@given(st.sampled_from([*Operation, *NikonOperation, 0x9999]), st.lists(st.integers(0, 0xFFFFFFFF), max_size=5))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_parameters_at_all_are_without_an_answer(camera: SimulatedCamera, code: int, given_: list[int]) -> None:
    client = Initiator(camera)
    send = b"\1\2" if code == Operation.SET_DEVICE_PROP_VALUE else None
    assert client.do(code, *given_, send=send)[0] in set(Response)
    client.ready()
    client.close()


def test_data_that_is_too_much_or_not_announced_drops_the_link(client: Initiator, camera: SimulatedCamera) -> None:
    client.command.sendall(OperationRequest(Operation.SET_DEVICE_PROP_VALUE, 9, (Property.F_NUMBER,), True).encode())
    client.command.sendall(packets.start_data(9, 2))
    client.command.sendall(packets.data_header(9, 5, last=True) + b"12345")
    with pytest.raises(LinkClosedError):
        packets.read_packet(client.command)
    again = Initiator(camera)
    again.command.sendall(OperationRequest(Operation.SET_DEVICE_PROP_VALUE, 9, (Property.F_NUMBER,), True).encode())
    again.command.sendall(packets.start_data(9, 1 << 40))
    with pytest.raises(LinkClosedError):
        packets.read_packet(again.command)
    again.close()


def test_a_probe_is_answered(client: Initiator) -> None:
    client.events.sendall(packets.Packet(PacketType.PROBE_REQUEST, b"").encode())
    assert packets.read_packet(client.events).kind == PacketType.PROBE_RESPONSE


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
