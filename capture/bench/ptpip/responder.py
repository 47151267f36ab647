"""The responder's side of PTP/IP: one port for command and event connections, one initiator at a time."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from capture.bench.ptpip import packets
from capture.bench.ptpip.canon_wire import CanonOperation
from capture.bench.ptpip.codes import ANY, InitFailReason, NikonOperation, Operation, PacketType, Response
from capture.bench.ptpip.faults import Faults
from capture.bench.ptpip.operations import Dialect, Push, Reply
from capture.bench.ptpip.packets import LinkClosedError, MalformedPacketError, OperationRequest
from capture.bench.ptpip.settings import Clock

_log = logging.getLogger(__name__)
_OPENING_S = 10.0  # real seconds a new connection has to say what it is
_LARGEST_PACKET = 1 << 18
_SMALLEST_PACKET = 1 << 10
_LARGEST_DATA_IN = 1 << 16
_HANG_LOOK_S = 0.05
_TRANSFERS = (
    Operation.GET_OBJECT,
    Operation.GET_PARTIAL_OBJECT,
    CanonOperation.GET_OBJECT,
    CanonOperation.GET_PARTIAL_OBJECT,
)
_CAPTURES = (
    Operation.INITIATE_CAPTURE,
    NikonOperation.CAPTURE_IN_MEDIA,
    NikonOperation.CAPTURE_IN_SDRAM,
    NikonOperation.AF_CAPTURE_IN_SDRAM,
    CanonOperation.REMOTE_RELEASE_ON,
)
_LIVE = (NikonOperation.START_LIVE_VIEW, NikonOperation.GET_LIVE_VIEW_IMAGE, CanonOperation.GET_VIEWFINDER_DATA)


class ObjectSource(Protocol):
    """Where the bytes of an object come from, and who is told when all were sent."""

    def read(self, handle: int, offset: int, count: int) -> bytes | None:
        """Bytes of an object, or None where it is gone."""

    def sent(self, handle: int) -> None:
        """An object was sent to its end."""

    def size(self, handle: int) -> int:
        """Size of an object in bytes; 0 where it is gone."""


@dataclass
class _Link:
    command: socket.socket
    number: int
    events: socket.socket | None = None
    over: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    sending: threading.Lock = field(default_factory=threading.Lock)

    def push(self, code: int, parameter: int) -> None:
        """Send one event; nobody to hear it is no error."""
        if self.events is not None:
            with self.sending, contextlib.suppress(OSError):
                self.events.sendall(packets.event(code, ANY, (parameter,)))

    def cut(self) -> None:
        """Close both connections, from any thread."""
        self.over.set()
        for link in (self.command, self.events):
            if link is not None:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def abandoned(self) -> bool:
        """Whether the initiator is gone without our having noticed."""
        try:
            return self.command.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


@dataclass
class Responder:
    """Listens on `host`:`port` (0: any free one) and serves a dialect over it.

    `bytes_per_s` is the link's speed in bytes per device second (None: as fast as it goes).
    """

    make_dialect: Callable[[Push], Dialect]
    objects: ObjectSource
    faults: Faults
    clock: Clock
    name: str
    guid: bytes
    host: str = "127.0.0.1"
    port: int = 0
    bytes_per_s: float | None = None
    _listener: socket.socket | None = None
    _link: _Link | None = None
    _numbers: int = 0
    _threads: set[threading.Thread] = field(default_factory=set)
    _sockets: set[socket.socket] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _idle: threading.Event = field(default_factory=threading.Event)

    # -- life -------------------------------------------------------------------------------------------------------
    def light(self) -> None:
        """Be there: listen. OSError where the port is taken."""
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((self.host, self.port))
                listener.listen(8)
            except OSError:
                listener.close()
                raise
            self.port = listener.getsockname()[1]
            self._listener = listener
            self._spawn(lambda: self._accept(listener), "camera-listener")

    def darken(self) -> None:
        """Be gone: as unplugged, until `light`."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            if self._link is not None:
                self._link.cut()
            for link in self._sockets:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Be gone, and wait for the threads."""
        self.darken()
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(timeout=5.0)

    # -- connections ------------------------------------------------------------------------------------------------
    def _spawn(self, work: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._listener is not listener:
                    link.close()
                    return
                self._sockets.add(link)
            self._spawn(lambda link=link: self._serve(link), "camera-link")  # type: ignore[misc]

    def _serve(self, link: socket.socket) -> None:
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.settimeout(_OPENING_S)
            packet = packets.read_packet(link)
            link.settimeout(None)
            if packet.kind == PacketType.INIT_COMMAND_REQUEST:
                self._serve_command(link, packets.InitCommandRequest.decode(packet.body))
            elif packet.kind == PacketType.INIT_EVENT_REQUEST:
                self._serve_events(link, packets.decode_init_event_request(packet.body))
            else:
                raise MalformedPacketError(f"packet type {packet.kind} opens nothing")
        except MalformedPacketError as error:
            _log.info("dropped a connection: %s", error)
        except (LinkClosedError, OSError) as error:
            _log.debug("a connection ended: %s", error)
        finally:
            with self._lock:
                self._sockets.discard(link)
            link.close()

    def _serve_command(self, command: socket.socket, who: packets.InitCommandRequest) -> None:
        self._hang(command, 0)
        if self.faults.strike("access_denied", on=("connect",)):
            command.sendall(packets.init_fail(InitFailReason.REJECTED))
            return
        with self._lock:
            before = self._link
        if before is not None:
            if not before.abandoned() and not before.over.is_set():
                command.sendall(packets.init_fail(InitFailReason.BUSY))
                return
            before.cut()
            before.ended.wait(5.0)
        with self._lock:
            if self._link is not None:
                command.sendall(packets.init_fail(InitFailReason.BUSY))
                return
            self._numbers += 1
            link = self._link = _Link(command, self._numbers)
        dialect = self.make_dialect(link.push)
        _log.info("initiator %r connected", who.name)
        try:
            command.sendall(packets.init_command_ack(link.number, self.guid, self.name))
            self._converse(link, dialect)
        finally:
            link.cut()
            dialect.end()
            with self._lock:
                self._link = None
            link.ended.set()

    def _serve_events(self, events: socket.socket, number: int) -> None:
        with self._lock:
            link = self._link
        if link is None or link.number != number or link.events is not None:
            events.sendall(packets.init_fail(InitFailReason.REJECTED))
            return
        link.events = events
        events.sendall(packets.init_event_ack())
        while not link.over.is_set():
            packet = packets.read_packet(events)
            if packet.kind == PacketType.PROBE_REQUEST:
                with link.sending:
                    events.sendall(packets.Packet(PacketType.PROBE_RESPONSE, b"").encode())

    # -- operations -------------------------------------------------------------------------------------------------
    def _converse(self, link: _Link, dialect: Dialect) -> None:
        while not link.over.is_set():
            packet = packets.read_packet(link.command)
            if packet.kind != PacketType.OPERATION_REQUEST:
                raise MalformedPacketError(f"packet type {packet.kind} where an operation should come")
            request = OperationRequest.decode(packet.body)
            data = self._receive(link, request) if request.sends_data else b""
            self._hang(link.command, request.code)
            reply = dialect.operate(request, data)
            code = reply.code
            if code == Response.OK and (reply.data is not None or reply.handle):
                code = self._send(link, request.transaction, reply)
            _log.debug("0x%04x %s -> 0x%04x", request.code, [hex(value) for value in request.parameters], code)
            link.command.sendall(packets.operation_response(code, request.transaction, reply.parameters))

    def _receive(self, link: _Link, request: OperationRequest) -> bytes:
        packet = packets.read_packet(link.command)
        if packet.kind != PacketType.START_DATA:
            raise MalformedPacketError(f"packet type {packet.kind} where data should start")
        _, announced = packets.decode_start_data(packet.body)
        if announced > _LARGEST_DATA_IN:
            raise MalformedPacketError(f"{announced} bytes of data for operation 0x{request.code:04x}")
        data = bytearray()
        while packet.kind != PacketType.END_DATA:
            packet = packets.read_packet(link.command)
            if packet.kind not in (PacketType.DATA, PacketType.END_DATA) or len(packet.body) < 4:
                raise MalformedPacketError(f"packet type {packet.kind} among data")
            data += packet.body[4:]
            if len(data) > announced:
                raise MalformedPacketError("more data than announced")
        return bytes(data)

    # -- data -------------------------------------------------------------------------------------------------------
    def _send(self, link: _Link, transaction: int, reply: Reply) -> int:
        total = reply.count if reply.data is None else len(reply.data)
        slow = self.faults.look("slow")
        speed = float(slow["bytes_per_s"]) if slow else self.bytes_per_s
        cut = self.faults.strike("cut_transfer") if reply.handle and total else None
        stop_at = int(total * min(float(cut["after"]), 1.0)) if cut else total
        chunk = _LARGEST_PACKET
        if speed:
            # Small enough that an initiator's patience between two packets is never tried.
            chunk = int(min(max(speed * 0.1, _SMALLEST_PACKET), chunk))
        link.command.sendall(packets.start_data(transaction, total))
        began, sent = self.clock.now(), 0
        while True:
            count = min(chunk, total - sent)
            piece = self._piece(reply, sent, min(count, stop_at - sent))
            if piece is None:
                return Response.INCOMPLETE_TRANSFER
            link.command.sendall(packets.data_header(transaction, count, last=sent + count == total) + piece)
            sent += len(piece)
            if cut and sent >= stop_at:
                raise LinkClosedError("cut in the middle of a transfer")
            if speed:
                self.clock.wait_until(began + sent / speed, link.over)
            if sent >= total:
                break
        if reply.handle and reply.offset + total >= self.objects.size(reply.handle):
            self.objects.sent(reply.handle)
        return Response.OK

    def _piece(self, reply: Reply, start: int, count: int) -> bytes | None:
        if reply.data is not None:
            return reply.data[start : start + count]
        piece = self.objects.read(reply.handle, reply.offset + start, count)
        return piece if piece is not None and len(piece) == count else None

    # -- hanging ----------------------------------------------------------------------------------------------------
    def _hang(self, link: socket.socket, code: int) -> None:
        """Stand still while it hangs on this operation (0: on a connection); `LinkClosedError` if the other side goes."""
        while (hang := self.faults.look("hang")) is not None:
            on = {"any": True, "capture": code in _CAPTURES, "transfer": code in _TRANSFERS, "live": code in _LIVE}
            if not on[str(hang["on"])]:
                return
            if not self._alive(link):
                raise LinkClosedError("left while it hung")
            self._idle.wait(_HANG_LOOK_S)

    def _alive(self, link: socket.socket) -> bool:
        try:
            return link.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
