"""Files on the camera, through libgphoto2: fetched whole and durable, listed, erased; and the room for more."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import gphoto2 as gp

from capture.camera.gphoto_open import DriverError, OpenLibrary
from capture.camera.readiness import Store
from capture.camera.wire import FetchedFile

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
        if where == "/":
            return None
        with self._calls() as camera:
            told = camera.file_get_info(where, what, self._context).file
        return int(told.size) if told.fields & gp.GP_FILE_INFO_SIZE else None

    def files_after(self, camera_path: str) -> list[str]:
        """Paths of the files in the same camera folder that come after `camera_path` by name."""
        where, what = _split(camera_path)
        with self._calls() as camera:
            listed = camera.folder_list_files(where, self._context)
            names = sorted(listed.get_name(i) for i in range(listed.count()))
        return [f"{where.rstrip('/')}/{name}" for name in names if name > what]

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
