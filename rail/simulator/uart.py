"""The serial line: bytes that take time on the wire, a receive ring that overflows, a transmit ring that blocks."""

from __future__ import annotations

import math
from collections import deque

BYTE_S = 10 / 115200
"""Start bit, eight data bits, stop bit."""

RX_SIZE = 128
TX_SIZE = 104
_HARDWARE_FIFO = 2
_SLACK = 1e-3  # of a byte: the clock's rounding


class Receiver:
    """From the host: the wire, then the ring that the main program reads.

    While interrupts are off (`mask`) the chip keeps two bytes; what follows is lost.
    """

    def __init__(self) -> None:
        self._wire: deque[int] = deque()
        self._arrival_s = -math.inf
        self._masked_until_s = -math.inf
        self._fifo: list[int] = []
        self.ring: deque[int] = deque()

    def put(self, data: bytes, now_s: float) -> None:
        """The host starts to send `data`."""
        if not self._wire:
            self._arrival_s = max(self._arrival_s, now_s) + BYTE_S
        self._wire.extend(data)

    def mask(self, until_s: float) -> None:
        """Interrupts are off until then."""
        self._masked_until_s = max(self._masked_until_s, until_s)

    def next_event_s(self) -> float:
        """When a byte reaches the interrupt."""
        wire = self._arrival_s if self._wire else math.inf
        return min(wire, self._masked_until_s) if self._fifo else wire

    def arrived(self, now_s: float) -> list[int]:
        """Bytes that reach the interrupt at `now_s`."""
        bytes_in: list[int] = []
        if self._fifo and self._masked_until_s <= now_s:
            bytes_in, self._fifo = self._fifo, []
        if self._wire and self._arrival_s <= now_s:
            byte = self._wire.popleft()
            if self._masked_until_s > now_s:
                if len(self._fifo) < _HARDWARE_FIFO:
                    self._fifo.append(byte)
            else:
                bytes_in.append(byte)
            if self._wire:
                self._arrival_s += BYTE_S
        return bytes_in

    def store(self, byte: int) -> None:
        """Put a byte into the ring; lost where the ring is full."""
        if len(self.ring) < RX_SIZE:
            self.ring.append(byte)

    @property
    def free(self) -> int:
        """Bytes that still fit into the ring."""
        return RX_SIZE - len(self.ring)

    def power_off(self, now_s: float) -> None:
        """Everything under way is lost."""
        self._wire.clear()
        self._fifo.clear()
        self.ring.clear()
        self._masked_until_s = now_s


class Transmitter:
    """To the host: the transmit ring and the wire behind it."""

    def __init__(self) -> None:
        self._ring = bytearray()
        self._first_done_s = 0.0
        self._sent = bytearray()

    def drain(self, now_s: float) -> None:
        """Let the wire take what it can until now."""
        if not self._ring or now_s < self._first_done_s - _SLACK * BYTE_S:
            return
        done = min(int((now_s - self._first_done_s) / BYTE_S + _SLACK) + 1, len(self._ring))
        self._sent += self._ring[:done]
        del self._ring[:done]
        self._first_done_s += done * BYTE_S

    def push(self, data: bytes, now_s: float) -> int:
        """Queue as many bytes of `data` as fit; how many."""
        self.drain(now_s)
        # One byte is in the shift register and leaves its place in the ring.
        fits = min(len(data), TX_SIZE + 1 - len(self._ring))
        if fits > 0:
            if not self._ring:
                self._first_done_s = max(self._first_done_s, now_s + BYTE_S)
            self._ring += data[:fits]
        return max(fits, 0)

    def line_done_s(self) -> float:
        """When the next whole line (or what there is of one) has left."""
        if not self._ring:
            return math.inf
        end = self._ring.find(b"\n")
        return self._first_done_s + (end if end >= 0 else len(self._ring) - 1) * BYTE_S

    def take(self, now_s: float) -> bytes:
        """Bytes that have left since last asked."""
        self.drain(now_s)
        taken = bytes(self._sent)
        self._sent.clear()
        return taken

    def power_off(self) -> None:
        """What has not left yet is lost."""
        self._ring.clear()
