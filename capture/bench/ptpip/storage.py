"""Where shots lie until they are fetched: a memory card (files in a temporary folder) and the body's own memory."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from capture.bench.ptpip.codes import ANY, ObjectFormat
from capture.bench.ptpip.datasets import ObjectInfo, StorageInfo
from capture.bench.ptpip.pictures import Look, inspect, thumbnail

CARD = 0x00010001
MEMORY = 0x00000000
_DCIM, _FOLDER = 0x1000_0000, 0x1000_0001  # not a store's number: initiators take such a parent for the root
_FIRST_CARD_HANDLE = 0x1000_0002
_FIRST_MEMORY_HANDLE, _MEMORY_HANDLES = 0xFFFF0001, 0xFF00
_TOMBSTONES = 64
THUMB_SIZE = (160, 120)


class StorageFullError(Exception):
    """No room, and nothing that was fetched already could make some."""


@dataclass(slots=True)
class StoredObject:
    """One file: on the card (`path`) or in memory (`data`)."""

    handle: int
    name: str
    format: int
    size_bytes: int
    taken: str
    look: Look
    path: Path | None = None
    data: bytes | None = None
    fetched: bool = False

    def info(self) -> ObjectInfo:
        """Its dataset."""
        return ObjectInfo(
            storage=MEMORY if self.path is None else CARD,
            format=self.format,
            size_bytes=self.size_bytes,
            parent=0 if self.path is None else _FOLDER,
            name=self.name,
            taken=self.taken,
            thumb_format=ObjectFormat.JFIF,
            thumb_size=THUMB_SIZE,
            image_size=self.look.size,
            bit_depth=self.look.bits,
        )


@dataclass(slots=True)
class Storage:
    """The card and the memory. Safe from any thread; bytes are bounded by `card_bytes` and `memory_objects`.

    A full card drops the oldest file that was already fetched; one that holds only files nobody fetched is full.
    """

    card_bytes: int = 2 << 30
    memory_objects: int = 8
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _card: OrderedDict[int, StoredObject] = field(default_factory=OrderedDict)
    _memory: OrderedDict[int, StoredObject] = field(default_factory=OrderedDict)
    _gone: OrderedDict[int, None] = field(default_factory=OrderedDict)
    _next_card: int = _FIRST_CARD_HANDLE
    _next_memory: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._card.clear()
            self._memory.clear()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def put_on_card(self, name: str, kind: int, data: bytes, taken: str) -> tuple[int, list[int]]:
        """Store a file on the card: its handle, and the handles of files dropped to make room for it."""
        with self._lock:
            dropped = self._make_room(len(data))
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="focusrail-card-")
            handle, self._next_card = self._next_card, self._next_card + 1
            path = Path(self._folder.name) / f"{handle:08x}"
            path.write_bytes(data)
            self._card[handle] = StoredObject(handle, name, kind, len(data), taken, inspect(data), path=path)
            return handle, dropped

    def put_in_memory(self, name: str, kind: int, data: bytes, taken: str) -> int:
        """Keep a file in memory until it is fetched; the oldest goes where there are too many."""
        with self._lock:
            while len(self._memory) >= self.memory_objects:
                self._bury(self._memory.popitem(last=False)[0])
            handle = _FIRST_MEMORY_HANDLE + self._next_memory % _MEMORY_HANDLES
            self._next_memory += 1
            self._memory[handle] = StoredObject(handle, name, kind, len(data), taken, inspect(data), data=data)
            self._gone.pop(handle, None)
            return handle

    def empty_memory(self) -> None:
        """Forget what nobody fetched from memory."""
        with self._lock:
            for handle in list(self._memory):
                del self._memory[handle]
                self._bury(handle)

    def storage_ids(self) -> list[int]:
        """The stores that can be listed."""
        return [CARD]

    def storage_info(self, storage: int) -> StorageInfo | None:
        """What is said of a store, or None for one that is not there."""
        if storage != CARD:
            return None
        with self._lock:
            free = max(self.card_bytes - self._card_used(), 0)
        return StorageInfo(self.card_bytes, free, free // (30 << 20), "CARD")

    def handles(self, storage: int, kind: int, parent: int) -> list[int] | None:
        """Handles of the objects in a folder (`parent`; all ones: the root; 0: everywhere), None for no such store."""
        if storage not in (CARD, ANY):
            return None
        with self._lock:
            files = [item for item in self._card.values() if kind in (0, item.format)]
        folders = [_DCIM, _FOLDER] if kind in (0, ObjectFormat.ASSOCIATION) else []
        if parent == ANY:
            return folders[:1]
        if parent == _DCIM:
            return folders[1:]
        inside = [item.handle for item in files]
        return folders + inside if parent == 0 else inside if parent == _FOLDER else []

    def info(self, handle: int) -> ObjectInfo | None:
        """What is said of an object, or None for one that is not there."""
        if handle in (_DCIM, _FOLDER):
            name, parent = ("DCIM", 0) if handle == _DCIM else ("100FOCUS", _DCIM)
            return ObjectInfo(CARD, ObjectFormat.ASSOCIATION, 0, parent, name, association_type=1)
        item = self._find(handle)
        return item.info() if item else None

    def read(self, handle: int, offset: int = 0, count: int = -1) -> bytes | None:
        """Bytes of an object from `offset`, at most `count` (-1: to its end), or None for one that is not there."""
        with self._lock:
            item = self._find(handle)
            if item is None:
                return None
            if item.data is not None:
                return item.data[offset:] if count < 0 else item.data[offset : offset + count]
            if item.path is None:
                return None
            with item.path.open("rb") as file:
                file.seek(offset)
                return file.read(count)

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
            if item.path is None:
                del self._memory[handle]
                self._bury(handle)
                return True
            return False

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
        with self._lock:
            return self._card.get(handle) or self._memory.get(handle)

    def _remove(self, item: StoredObject) -> None:
        if item.path is None:
            self._memory.pop(item.handle, None)
            self._bury(item.handle)
        else:
            self._card.pop(item.handle, None)
            item.path.unlink(missing_ok=True)

    def _bury(self, handle: int) -> None:
        # Initiators delete what they fetched from memory: that must not look like an error.
        self._gone[handle] = None
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)

    def _card_used(self) -> int:
        return sum(item.size_bytes for item in self._card.values())

    def _make_room(self, count: int) -> list[int]:
        dropped = []
        used = self._card_used()
        for item in list(self._card.values()):
            if used + count <= self.card_bytes:
                break
            if item.fetched:
                self._remove(item)
                used -= item.size_bytes
                dropped.append(item.handle)
        if used + count > self.card_bytes:
            raise StorageFullError
        return dropped
