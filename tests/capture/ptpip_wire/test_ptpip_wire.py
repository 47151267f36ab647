"""The simulated camera as bytes on its port: sessions, refusals, garbage."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.bench.ptpip import SimulatedCamera, packets
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
from tests.capture.ptpip_wire.initiator import OPTIONS, PATIENCE_S, Initiator, running


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
