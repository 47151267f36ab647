"""PTP/IP packets: length and type (little endian, 32 bit each), then a body of its type's own form (CIPA DC-005)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from capture.bench.ptpip.codes import PacketType

HEADER = struct.Struct("<II")
MAXIMUM_LENGTH = 1 << 20  # of what an initiator may send; nothing it sends comes near
PROTOCOL_VERSION = 0x00010000
_GUID_LENGTH = 16


class MalformedPacketError(ValueError):
    """Bytes that are no packet, or not one that may come here."""


class LinkClosedError(Exception):
    """The other side closed the connection."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it stands on the wire: its type and the bytes after the header."""

    kind: int
    body: bytes

    def encode(self) -> bytes:
        """The packet with its header."""
        return HEADER.pack(HEADER.size + len(self.body), self.kind) + self.body


@dataclass(frozen=True, slots=True)
class InitCommandRequest:
    """An initiator opens the command connection and names itself."""

    guid: bytes
    name: str

    def encode(self) -> bytes:
        """The packet's bytes."""
        body = self.guid + encode_name(self.name) + struct.pack("<I", PROTOCOL_VERSION)
        return Packet(PacketType.INIT_COMMAND_REQUEST, body).encode()

    @classmethod
    def decode(cls, body: bytes) -> InitCommandRequest:
        """Read the body; `MalformedPacketError` where it is none. The version at its end is not looked at."""
        if len(body) < _GUID_LENGTH + 2:
            raise MalformedPacketError(f"initiator's identity of {len(body)} bytes")
        return cls(body[:_GUID_LENGTH], _decode_name(body[_GUID_LENGTH:]))


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An operation with up to five parameters; `sends_data` when the initiator's data follows."""

    code: int
    transaction: int
    parameters: tuple[int, ...] = ()
    sends_data: bool = False

    def encode(self) -> bytes:
        """The packet's bytes."""
        phase = 2 if self.sends_data else 1
        body = struct.pack("<IHI", phase, self.code, self.transaction)
        body += struct.pack(f"<{len(self.parameters)}I", *self.parameters)
        return Packet(PacketType.OPERATION_REQUEST, body).encode()

    @classmethod
    def decode(cls, body: bytes) -> OperationRequest:
        """Read the body; `MalformedPacketError` where it is none."""
        fixed = struct.calcsize("<IHI")
        count, rest = divmod(len(body) - fixed, 4)
        if count < 0 or count > 5 or rest:
            raise MalformedPacketError(f"operation request of {len(body)} bytes")
        phase, code, transaction = struct.unpack_from("<IHI", body)
        return cls(code, transaction, struct.unpack_from(f"<{count}I", body, fixed), sends_data=phase == 2)

    def parameter(self, index: int, default: int = 0) -> int:
        """Parameter `index` (from 0), or `default` where it was not sent."""
        return self.parameters[index] if index < len(self.parameters) else default


def encode_name(name: str) -> bytes:
    """UTF-16 with the terminating zero, as names stand in the two opening packets."""
    return name.encode("utf-16-le") + b"\0\0"


def _decode_name(body: bytes) -> str:
    for end in range(0, len(body) - 1, 2):
        if body[end : end + 2] == b"\0\0":
            return body[:end].decode("utf-16-le", errors="replace")
    raise MalformedPacketError("a name without an end")


def init_command_ack(connection: int, guid: bytes, name: str) -> bytes:
    """The responder's answer on the command connection: the number that the event connection must name, and who it is."""
    body = struct.pack("<I", connection) + guid + encode_name(name) + struct.pack("<I", PROTOCOL_VERSION)
    return Packet(PacketType.INIT_COMMAND_ACK, body).encode()


def init_event_request(connection: int) -> bytes:
    """An initiator opens the event connection that belongs to a command connection."""
    return Packet(PacketType.INIT_EVENT_REQUEST, struct.pack("<I", connection)).encode()


def decode_init_event_request(body: bytes) -> int:
    """The command connection's number; `MalformedPacketError` where the body holds none."""
    if len(body) != 4:
        raise MalformedPacketError(f"event request of {len(body)} bytes")
    return int(struct.unpack("<I", body)[0])


def init_event_ack() -> bytes:
    """The event connection is accepted."""
    return Packet(PacketType.INIT_EVENT_ACK, b"").encode()


def init_fail(reason: int) -> bytes:
    """The initiator is turned away."""
    return Packet(PacketType.INIT_FAIL, struct.pack("<I", reason)).encode()


def operation_response(code: int, transaction: int, parameters: tuple[int, ...] = ()) -> bytes:
    """How an operation ended."""
    body = struct.pack("<HI", code, transaction) + struct.pack(f"<{len(parameters)}I", *parameters)
    return Packet(PacketType.OPERATION_RESPONSE, body).encode()


def event(code: int, transaction: int, parameters: tuple[int, ...] = ()) -> bytes:
    """An event, for the event connection."""
    body = struct.pack("<HI", code, transaction) + struct.pack(f"<{len(parameters)}I", *parameters)
    return Packet(PacketType.EVENT, body).encode()


def start_data(transaction: int, length: int) -> bytes:
    """Data of `length` bytes follow."""
    return Packet(PacketType.START_DATA, struct.pack("<IQ", transaction, length)).encode()


def data_header(transaction: int, length: int, *, last: bool) -> bytes:
    """Header of one data packet that carries `length` bytes; the bytes are sent after it."""
    kind = PacketType.END_DATA if last else PacketType.DATA
    return HEADER.pack(HEADER.size + 4 + length, kind) + struct.pack("<I", transaction)


def decode_start_data(body: bytes) -> tuple[int, int]:
    """Transaction and length; some initiators send the length in 32 bit."""
    if len(body) == 12:
        transaction, length = struct.unpack("<IQ", body)
    elif len(body) == 8:
        transaction, length = struct.unpack("<II", body)
    else:
        raise MalformedPacketError(f"start of data of {len(body)} bytes")
    return transaction, length


def read_packet(link: socket.socket) -> Packet:
    """Read one whole packet.

    Raises
    ------
    LinkClosedError
        The other side closed, or the link broke.
    MalformedPacketError
        The length is impossible: there is no telling where the next packet begins.
    """
    length, kind = HEADER.unpack(_read_exactly(link, HEADER.size))
    if not HEADER.size <= length <= MAXIMUM_LENGTH:
        raise MalformedPacketError(f"packet of {length} bytes")
    return Packet(kind, _read_exactly(link, length - HEADER.size))


def _read_exactly(link: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            # Initiators write requests in small pieces and wait for our acknowledgement between them: without this
            # the kernel holds it back for 40 ms. The option wears off, so it is set each time.
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = link.recv(count - len(parts))
        except TimeoutError:
            raise
        except OSError as error:
            raise LinkClosedError(str(error)) from error
        if not part:
            raise LinkClosedError("closed")
        parts += part
    return bytes(parts)
