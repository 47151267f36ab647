"""PTP/IP packets and PTP datasets: what was written is read again, and bytes that are none are refused."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.bench.ptpip import packets
from capture.bench.ptpip.codes import DataType, PacketType
from capture.bench.ptpip.datasets import (
    DatasetError,
    PropertyDescription,
    Range,
    pack_array,
    pack_string,
    pack_value,
    unpack_string,
    unpack_value,
)
from capture.bench.ptpip.packets import InitCommandRequest, LinkClosedError, MalformedPacketError, OperationRequest

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
bounds = {
    DataType.INT8: (-(1 << 7), (1 << 7) - 1),
    DataType.UINT8: (0, (1 << 8) - 1),
    DataType.INT16: (-(1 << 15), (1 << 15) - 1),
    DataType.UINT16: (0, (1 << 16) - 1),
    DataType.INT32: (-(1 << 31), (1 << 31) - 1),
    DataType.UINT32: (0, (1 << 32) - 1),
}


@pytest.fixture(scope="module")
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def over_a_socket(server: socket.socket, data: bytes, piece: int) -> packets.Packet:
    """Sent piece by piece: a packet may arrive in as many parts as the network likes."""
    with socket.create_connection(server.getsockname()) as theirs:
        ours, _ = server.accept()
        with ours:
            for start in range(0, len(data), piece):
                theirs.sendall(data[start : start + piece])
            theirs.shutdown(socket.SHUT_WR)
            return packets.read_packet(ours)


@given(st.binary(max_size=300), u32, st.integers(1, 50))
def test_a_packet_is_read_as_it_was_written_however_it_is_cut(
    server: socket.socket, body: bytes, kind: int, piece: int
) -> None:
    assert over_a_socket(server, packets.Packet(kind, body).encode(), piece) == packets.Packet(kind, body)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_packet_that_ends_early_is_a_closed_link(server: socket.socket, body: bytes, data: st.DataObject) -> None:
    whole = packets.Packet(PacketType.EVENT, body).encode()
    short = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(LinkClosedError):
        over_a_socket(server, short, 64)


@pytest.mark.parametrize("length", [0, 1, 7, packets.MAXIMUM_LENGTH + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_refused(server: socket.socket, length: int) -> None:
    with pytest.raises(MalformedPacketError):
        over_a_socket(server, struct.pack("<II", length, 6) + bytes(16), 64)


@given(st.binary(min_size=16, max_size=16), names)
def test_an_initiator_is_read_as_it_names_itself(guid: bytes, name: str) -> None:
    encoded = InitCommandRequest(guid, name).encode()
    assert InitCommandRequest.decode(encoded[8:]) == InitCommandRequest(guid, name)


@given(u16, u32, st.lists(u32, max_size=5), st.booleans())
def test_an_operation_is_read_as_it_was_written(code: int, transaction: int, given_: list[int], sends: bool) -> None:
    request = OperationRequest(code, transaction, tuple(given_), sends)
    assert OperationRequest.decode(request.encode()[8:]) == request
    assert [request.parameter(index, -1) for index in range(5)] == given_ + [-1] * (5 - len(given_))


@given(st.binary(max_size=60))
def test_no_bytes_at_all_break_the_readers(body: bytes) -> None:
    for read in (
        InitCommandRequest.decode,
        OperationRequest.decode,
        packets.decode_init_event_request,
        packets.decode_start_data,
    ):
        try:
            read(body)
        except MalformedPacketError:
            continue


@given(u32, st.integers(0, 0xFFFFFFFF), st.integers(0, 1000), st.booleans())
def test_data_headers_say_how_much_follows(transaction: int, total: int, count: int, last: bool) -> None:
    assert packets.decode_start_data(packets.start_data(transaction, total)[8:]) == (transaction, total)
    length, kind, named = struct.unpack("<III", packets.data_header(transaction, count, last=last))
    assert (length - 12, named) == (count, transaction)
    assert kind == (PacketType.END_DATA if last else PacketType.DATA)


@given(names)
def test_a_string_is_read_as_it_was_written(text: str) -> None:
    assert unpack_string(pack_string(text)) == text


@given(st.text(min_size=256, max_size=400, alphabet="abc"))
def test_a_long_string_is_cut_to_what_its_count_can_say(text: str) -> None:
    assert unpack_string(pack_string(text)) == text[:254]


@given(st.sampled_from(sorted(bounds)), st.data())
def test_a_number_is_read_as_it_was_written(kind: DataType, data: st.DataObject) -> None:
    value = data.draw(st.integers(*bounds[kind]))
    packed = pack_value(value, kind)
    assert unpack_value(packed, kind) == value
    for wrong in (packed[:-1], packed + b"\0"):
        with pytest.raises(DatasetError):
            unpack_value(wrong, kind)


@given(st.binary(max_size=30))
def test_no_bytes_at_all_break_the_string_reader(data: bytes) -> None:
    try:
        assert isinstance(unpack_string(data), str)
    except DatasetError:
        assert not data or len(data) != 1 + 2 * data[0]


def test_arrays_are_counted() -> None:
    assert pack_array([1, 2, 3], "H") == b"\3\0\0\0\1\0\2\0\3\0"
    assert pack_array([], "I") == b"\0\0\0\0"


def test_property_descriptions_stand_as_the_standard_says() -> None:
    free = PropertyDescription(0x5001, DataType.UINT8, False, 1, 2)
    assert free.encode() == b"\x01\x50\x02\x00\x00\x01\x02\x00"
    ranged = PropertyDescription(0x5001, DataType.UINT8, True, 1, 2, Range(0, 100, 5))
    assert ranged.encode() == b"\x01\x50\x02\x00\x01\x01\x02\x01\x00\x64\x05"
    listed = PropertyDescription(0x500F, DataType.UINT16, True, 100, 200, (100, 200))
    assert listed.encode() == b"\x0f\x50\x04\x00\x01\x64\x00\xc8\x00\x02\x02\x00\x64\x00\xc8\x00"


def test_a_range_holds_its_steps_only() -> None:
    assert [value for value in range(-1, 12) if value in Range(0, 10, 5)] == [0, 5, 10]
    assert "5" not in Range(0, 10, 5)
