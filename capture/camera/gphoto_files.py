"""Files on the camera, through libgphoto2: fetched whole and durable, listed, erased; and the room for more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import gphoto2 as gp

from capture.camera.gphoto_open import DriverError, OpenLibrary
from capture.camera.readiness import Store
from capture.camera.wire import FetchedFile, ListedFile

# What a disk that took a file in part must still take to be believed that it is not full.
_MORE_BYTES = 1 << 16


class CameraFiles(OpenLibrary):
    """A camera's files; see `capture.camera.gphoto.GphotoDriver`."""

    def fetch(self, camera_path: str, folder: str, name: str) -> FetchedFile:
        """Download one file to ``folder/name``, complete and fsynced; nothing is left there where it fails."""
        fetched = self._download(camera_path, folder, name)
        sync(Path(fetched.temporary))
        return fetched

    def _download(self, camera_path: str, folder: str, name: str) -> FetchedFile:
        where, what = _split(camera_path)
        target = Path(folder) / name
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            try:
                told = self._told_size(where, what)
                try:
                    with self._calls() as camera:
                        # libgphoto2 closes the descriptor that it is given.
                        file = gp.CameraFile(os.dup(descriptor))
                        camera.file_get(where, what, gp.GP_FILE_TYPE_NORMAL, file, self._context)
                        del file
                except DriverError:
                    _require_disk(descriptor)
                    raise
                size = os.fstat(descriptor).st_size
                if told not in {None, 0, 0xFFFFFFFF, size}:
                    raise DriverError(gp.GP_ERROR_CORRUPTED_DATA, f"{what} is {size} bytes here, {told} on the camera.")
            finally:
                os.close(descriptor)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return FetchedFile(str(target), camera_path, size)

    def _told_size(self, where: str, what: str) -> int | None:
        """Bytes that the camera says; None for files in its memory, of which it keeps no record."""
        return None if where == "/" else self._told(where, what)[0]

    def _told(self, where: str, what: str) -> tuple[int | None, int | None]:
        """Bytes of a file, and the time at which it was written (seconds of the camera's clock), as the camera says."""
        with self._calls() as camera:
            info = camera.file_get_info(where, what, self._context)
            told = info.file  # a view that owns nothing: `info` must live
            return (
                int(told.size) if told.fields & gp.GP_FILE_INFO_SIZE else None,
                int(told.mtime) if told.fields & gp.GP_FILE_INFO_MTIME else None,
            )

    def newest(self, store: str, count: int) -> list[ListedFile]:
        """The last `count` files of a card by folder, time and name, the last first; of a full card only the last folder is read."""
        found: list[ListedFile] = []
        for folder in self._folders(store.rstrip("/")):
            with self._calls() as camera:
                listed = camera.folder_list_files(folder, self._context)
            told = {name: self._told(folder, name) for name in (listed.get_name(i) for i in range(listed.count()))}
            # Numbers begin anew after 9999, and on a card that another body has written on.
            names = sorted(told, key=lambda name: (told[name][1] or 0, name), reverse=True)
            found += [ListedFile(f"{folder}/{name}", *told[name]) for name in names]
            if len(found) >= count:
                break
        return found[:count]

    def _folders(self, above: str) -> Iterator[str]:
        """Folders below one, and it, the last first; of a card's own folders that of its pictures only."""
        with self._calls() as camera:
            listed = camera.folder_list_folders(above, self._context)
        names = {listed.get_name(i) for i in range(listed.count())}
        for name in sorted(names & {"DCIM"} or names, reverse=True):
            yield from self._folders(f"{above}/{name}")
        yield above

    def _erase(self, camera_path: str) -> None:
        where, what = _split(camera_path)
        # A file that the camera dropped itself is as good as erased.
        with contextlib.suppress(DriverError), self._calls() as camera:
            camera.file_delete(where, what, self._context)

    def erase(self, camera_path: str) -> None:
        """Remove one file from the camera; no error where it is not there."""
        self._erase(camera_path)

    def stores(self) -> list[Store]:
        """The camera's cards; empty where it has none, `DriverError` where it does not tell."""
        with self._calls() as camera:
            told = camera.get_storageinfo(self._context)
        return [
            Store(
                name=str(store.label or store.description or store.basedir),
                free_bytes=int(store.freekbytes) << 10 if store.fields & gp.GP_STORAGEINFO_FREESPACEKBYTES else None,
                free_images=int(store.freeimages) if store.fields & gp.GP_STORAGEINFO_FREESPACEIMAGES else None,
                folder=str(store.basedir),
                read_only=bool(store.fields & gp.GP_STORAGEINFO_ACCESS)
                and store.access != gp.GP_STORAGEINFO_AC_READWRITE
                and store.access != gp.GP_STORAGEINFO_AC_READONLY_WITH_DELETE,
            )
            for store in told
        ]


def _require_disk(descriptor: int) -> None:
    """`OSError` where the disk takes nothing more: libgphoto2 has no word for that, and blames the camera."""
    os.pwrite(descriptor, bytes(_MORE_BYTES), os.fstat(descriptor).st_size)
    os.fsync(descriptor)


def sync(path: Path) -> None:
    """Make a file durable; it is removed where that fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _split(camera_path: str) -> tuple[str, str]:
    """Folder and name; files in the camera's memory lie in the root."""
    where, _, what = camera_path.rpartition("/")
    return where or "/", what
