"""The smallest client of the simulated camera, and a camera to talk to."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.bench.ptpip import CameraOptions, SimulatedCamera, packets
from capture.bench.ptpip.codes import (
    ANY,
    NikonOperation,
    Operation,
    PacketType,
    Response,
)
from capture.bench.ptpip.packets import OperationRequest
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
