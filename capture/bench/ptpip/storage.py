"""Where shots lie until they are fetched: a memory card (one file without a name) and the body's own memory."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from capture.bench.ptpip.codes import ANY, ObjectFormat
from capture.bench.ptpip.datasets import ObjectInfo, StorageInfo
from capture.bench.ptpip.pictures import Look, inspect, thumbnail

CARD = 0x00010001
MEMORY = 0x00000000
THUMB_SIZE = (160, 120)
_DCIM, _FOLDER = 0x1000_0000, 0x1000_0001  # not a store's number: initiators take such a parent for the root
_FIRST_CARD_HANDLE = 0x1000_0002
_FIRST_MEMORY_HANDLE, _MEMORY_HANDLES = 0xFFFF0001, 0xFF00
_TOMBSTONES = 64
_TYPICAL_BYTES = 30 << 20


class StorageFullError(Exception):
    """No room, and nothing that was fetched already could make some."""


@dataclass(slots=True)
class Spool:
    """Bytes outside of memory, in a file that has no name and so goes with the process. At most `limit_bytes`."""

    limit_bytes: int
    _file: IO[bytes] | None = None
    _extents: dict[int, int] = field(default_factory=dict)
    """Offset -> length of what is kept."""

    def put(self, data: bytes) -> int | None:
        """Keep bytes; their offset, or None where no gap is large enough."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="focusrail-card-")  # noqa: SIM115 - closed by `close`
        offset = 0
        for start, length in sorted(self._extents.items()):
            if start - offset >= len(data):
                break
            offset = start + length
        if offset + len(data) > self.limit_bytes:
            return None
        os.pwrite(self._file.fileno(), data, offset)
        self._extents[offset] = len(data)
        return offset

    def get(self, offset: int, start: int, count: int) -> bytes:
        """Bytes kept at `offset`: `count` of them from their byte `start`."""
        if self._file is None:
            return b""
        return os.pread(self._file.fileno(), max(min(count, self._extents[offset] - start), 0), offset + start)

    def drop(self, offset: int) -> None:
        """Forget the bytes at `offset`."""
        del self._extents[offset]

    def close(self) -> None:
        """Forget everything."""
        self._extents.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(slots=True)
class StoredObject:
    """One file: on the card (`offset` in the spool) or in memory (`data`)."""

    handle: int
    name: str
    format: int
    size_bytes: int
    taken: str
    look: Look
    offset: int = -1
    data: bytes | None = None
    fetched: bool = False

    @property
    def in_memory(self) -> bool:
        """Whether it lies in the body's memory."""
        return self.offset < 0

    def info(self) -> ObjectInfo:
        """Its dataset."""
        return ObjectInfo(
            storage=MEMORY if self.in_memory else CARD,
            format=self.format,
            size_bytes=self.size_bytes,
            parent=0 if self.in_memory else _FOLDER,
            name=self.name,
            taken=self.taken,
            thumb_format=ObjectFormat.JFIF,
            thumb_size=THUMB_SIZE,
            image_size=self.look.size,
            bit_depth=self.look.bits,
        )


class Storage:
    """The card and the memory. Safe from any thread.

    Parameters
    ----------
    card_bytes : int
        What the card holds as it says of itself.
    spool_bytes : int
        What is really kept of it at one time: the oldest files that were fetched already are dropped for new ones.
    memory_objects : int
        How many files the body's memory keeps for an initiator that does not fetch them; the oldest goes first.
    """

    def __init__(self, card_bytes: int = 32 << 30, spool_bytes: int = 1 << 30, memory_objects: int = 8) -> None:
        self._card_bytes = card_bytes
        self._memory_objects = memory_objects
        self._spool = Spool(min(card_bytes, spool_bytes))
        self._card: OrderedDict[int, StoredObject] = OrderedDict()
        self._memory: OrderedDict[int, StoredObject] = OrderedDict()
        self._gone: OrderedDict[int, None] = OrderedDict()
        self._next_card = _FIRST_CARD_HANDLE
        self._next_memory = 0
        self._lock = threading.RLock()

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._card.clear()
            self._memory.clear()
            self._spool.close()

    def put_on_card(self, name: str, kind: int, data: bytes, taken: str) -> int:
        """Store a file on the card: its handle. `StorageFullError` where there is no room."""
        look = inspect(data)
        with self._lock:
            if self.free_bytes() < len(data):
                raise StorageFullError
            fetched = [item for item in self._card.values() if item.fetched]
            while (offset := self._spool.put(data)) is None:
                if not fetched:
                    raise StorageFullError
                self._remove(fetched.pop(0))
            handle, self._next_card = self._next_card, self._next_card + 1
            self._card[handle] = StoredObject(handle, name, kind, len(data), taken, look, offset=offset)
            return handle

    def save_card(self, folder: Path) -> list[str]:
        """Write all files on the card into `folder`: their names."""
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            for item in self._card.values():
                (folder / item.name).write_bytes(self._spool.get(item.offset, 0, item.size_bytes))
            return [item.name for item in self._card.values()]

    def put_in_memory(self, name: str, kind: int, data: bytes, taken: str) -> int:
        """Keep a file in memory until it is fetched: its handle."""
        look = inspect(data)
        with self._lock:
            while len(self._memory) >= self._memory_objects:
                self._bury(self._memory.popitem(last=False)[0])
            handle = _FIRST_MEMORY_HANDLE + self._next_memory % _MEMORY_HANDLES
            self._next_memory += 1
            self._memory[handle] = StoredObject(handle, name, kind, len(data), taken, look, data=data)
            self._gone.pop(handle, None)
            return handle

    def empty_memory(self) -> None:
        """Forget what nobody fetched from memory."""
        with self._lock:
            while self._memory:
                self._bury(self._memory.popitem(last=False)[0])

    def free_bytes(self) -> int:
        """Room on the card as it says of itself. Files that were fetched count as free."""
        with self._lock:
            return max(self._card_bytes - sum(item.size_bytes for item in self._card.values() if not item.fetched), 0)

    def storage_ids(self) -> list[int]:
        """The stores that can be listed."""
        return [CARD]

    def storage_info(self, storage: int) -> StorageInfo | None:
        """What is said of a store, or None for one that is not there."""
        if storage != CARD:
            return None
        free = self.free_bytes()
        return StorageInfo(self._card_bytes, free, free // _TYPICAL_BYTES, "CARD")

    def handles(self, storage: int, kind: int, parent: int) -> list[int] | None:
        """Handles of the objects in a folder (`parent`; all ones: the root; 0: everywhere), None for no such store."""
        if storage not in (CARD, ANY):
            return None
        with self._lock:
            inside = [item.handle for item in self._card.values() if kind in (0, item.format)]
        folders = [_DCIM, _FOLDER] if kind in (0, ObjectFormat.ASSOCIATION) else []
        places = {ANY: folders[:1], _DCIM: folders[1:], _FOLDER: inside, 0: folders + inside}
        return places.get(parent, [])

    def info(self, handle: int) -> ObjectInfo | None:
        """What is said of an object, or None for one that is not there."""
        if handle in (_DCIM, _FOLDER):
            name, parent = ("DCIM", 0) if handle == _DCIM else ("100FOCUS", _DCIM)
            return ObjectInfo(CARD, ObjectFormat.ASSOCIATION, 0, parent, name, association_type=1)
        with self._lock:
            item = self._find(handle)
            return item.info() if item else None

    def read(self, handle: int, start: int = 0, count: int | None = None) -> bytes | None:
        """Bytes of an object from `start`, at most `count` (None: to its end), or None for one that is not there."""
        with self._lock:
            item = self._find(handle)
            if item is None:
                return None
            count = item.size_bytes if count is None else count
            if item.data is not None:
                return item.data[start : start + count]
            return self._spool.get(item.offset, start, count)

    def thumb(self, handle: int) -> bytes | None:
        """A small JPEG of an object, or None for one that is not there or shows nothing."""
        data = self.read(handle)
        return thumbnail(data, THUMB_SIZE) if data else None

    def was_fetched(self, handle: int) -> bool:
        """Note that an object was read to its end; what lay in memory goes. True where it lay in memory."""
        with self._lock:
            item = self._find(handle)
            if item is None:
                return False
            item.fetched = True
            if item.in_memory:
                self._remove(item)
            return item.in_memory

    def delete(self, handle: int) -> bool:
        """Delete an object, or all files on the card (all ones). False for one that never was."""
        with self._lock:
            if handle == ANY:
                for item in list(self._card.values()):
                    self._remove(item)
                return True
            stored = self._find(handle)
            if stored is None:
                return handle in self._gone
            self._remove(stored)
            return True

    def _find(self, handle: int) -> StoredObject | None:
        return self._card.get(handle) or self._memory.get(handle)

    def _remove(self, item: StoredObject) -> None:
        if item.in_memory:
            self._memory.pop(item.handle, None)
            self._bury(item.handle)
        else:
            del self._card[item.handle]
            self._spool.drop(item.offset)

    def _bury(self, handle: int) -> None:
        # Initiators delete what they fetched from memory: that must not look like an error.
        self._gone[handle] = None
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)
