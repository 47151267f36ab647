"""What was found out about frames before their stack is complete, so that the final run need not find it out again.

Measuring a frame, matching two of them, developing one: each answer depends on the files and on what is asked alone. So answers are
kept by file and question, and a run that is given them makes, byte for byte, the picture that it would have made without them,
whatever the frames that came, went, or were put between others meanwhile.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stacking.memory import available_bytes

if TYPE_CHECKING:
    from stacking.register.features import Features
    from stacking.register.matching import Match, MatchQuery

T = TypeVar("T")

_WHOLE_FEATURES = 6
_SHARE_OF_DISK = 0.25
_SHARE_OF_MEMORY = 0.5
_LEAST_FREE_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Measured:
    """What one frame tells by itself: its features, the sharpness of its blocks where that is wanted, and what may be defects."""

    features: Features
    sharpness: NDArray[np.float32] | None
    spots: NDArray[np.int32]


class Prepared:
    """Answers kept for the final run. May be asked by several threads.

    Kept of every frame are some ten kilobytes; its developed picture goes to `pictures`, which is bounded.

    Parameters
    ----------
    pictures : PictureStore, optional
        Where developed pictures are kept; None: they are not.
    """

    def __init__(self, pictures: PictureStore | None = None) -> None:
        self.pictures = pictures
        self._answers: dict[Hashable, Any] = {}
        self._measured: dict[Hashable, Measured] = {}
        self._matches: dict[Hashable, Match | None] = {}
        self._whole: OrderedDict[Hashable, Features] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, question: Hashable, find: Callable[[], T]) -> T:
        """What `find` returned when `question` was first asked."""
        if question not in self._answers:
            self._answers[question] = find()
        found: T = self._answers[question]
        return found

    def measured(self, frame: Hashable, index: int, find: Callable[[], Measured]) -> Measured:
        """What a frame tells; of one measured before, the features come back without their pictures, which `match` asks for again."""
        known = self._measured.get(frame)
        if known is not None:
            return replace(known, features=replace(known.features, index=index))
        found = find()
        self._measured[frame] = replace(found, features=_without_pictures(found.features))
        self._keep_whole(frame, found.features)
        return found

    def match(
        self,
        query: MatchQuery,
        frame_of: Callable[[int], Hashable],
        whole: Callable[[int], Features],
        find: Callable[[MatchQuery], Match | None],
    ) -> Match | None:
        """The match that a query finds.

        Parameters
        ----------
        frame_of : callable
            Index to what the frame was measured as.
        whole : callable
            Index to features measured anew.
        find : callable
        """
        old, new = query.old, query.new
        frames = (frame_of(old.index), frame_of(new.index))
        key = (*frames, _factors(old), _factors(new), query.known, query.alike, query.thorough, query.still)
        if key not in self._matches:
            pair = [self._with_pictures(f, k, whole) for f, k in zip((old, new), frames, strict=True)]
            self._matches[key] = find(replace(query, old=pair[0], new=pair[1]))
        found = self._matches[key]
        return None if found is None else replace(found, old=old.index, new=new.index)

    def _with_pictures(self, features: Features, frame: Hashable, whole: Callable[[int], Features]) -> Features:
        if features.scales[0].image.strides[-1]:
            return features
        with self._lock:
            known = self._whole.get(frame)
        if known is None:
            known = whole(features.index)
            self._keep_whole(frame, known)
        wanted = _factors(features)
        return replace(known, index=features.index, scales=tuple(s for s in known.scales if s.factor in wanted))

    def _keep_whole(self, frame: Hashable, features: Features) -> None:
        with self._lock:
            self._whole[frame] = features
            self._whole.move_to_end(frame)
            while len(self._whole) > _WHOLE_FEATURES:
                self._whole.popitem(last=False)


class PictureStore:
    """Developed pictures in one nameless file: it is gone with the process, however that ends.

    Holds at most a quarter of what is free on its disk and half of the memory available when it was made (what does not fit the
    memory would come back more slowly than it is developed), and nothing more once less than 2 GiB are free on the disk.

    Parameters
    ----------
    folder : Path
        On whose disk it lies.
    most_bytes : int, optional
        Instead of the reckoned bound.
    """

    def __init__(self, folder: Path, most_bytes: int | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".stacking-")  # noqa: SIM115  (lives as long as this)
        self._folder = folder
        bound = min(_SHARE_OF_DISK * shutil.disk_usage(folder).free, _SHARE_OF_MEMORY * available_bytes())
        self._most = int(bound) if most_bytes is None else most_bytes
        self._end = 0
        self._places: dict[Hashable, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}

    def put(self, key: Hashable, image: NDArray[Any]) -> bool:
        """Keep a picture; False where there is no room."""
        if key in self._places:
            return True
        size = -(-image.nbytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        try:
            free = shutil.disk_usage(self._folder).free
            if self._end + size > self._most or free < _LEAST_FREE_BYTES + size:
                return False
            view, at = memoryview(np.ascontiguousarray(image).data).cast("B"), self._end
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written
            os.ftruncate(self._file.fileno(), self._end + size)
        except OSError:
            return False
        self._places[key] = (self._end, image.shape, image.dtype)
        self._end += size
        return True

    def get(self, key: Hashable) -> NDArray[Any] | None:
        """A kept picture, read from the disk as it is used; not to be written to."""
        place = self._places.get(key)
        if place is None:
            return None
        offset, shape, dtype = place
        length = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(mmap.mmap(self._file.fileno(), length, offset=offset), dtype).reshape(shape)

    def close(self) -> None:
        """Give the room back."""
        self._places.clear()
        self._file.close()


def file_key(path: Path) -> Hashable:
    """What a file is known by, under whatever name: device, inode, size and time of its last change.

    Raises
    ------
    OSError
    """
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _factors(features: Features) -> tuple[int, ...]:
    return tuple(scale.factor for scale in features.scales)


def _without_pictures(features: Features) -> Features:
    """The same with every picture replaced by one zero that only looks as large."""
    nothing = np.zeros(1, np.uint8)
    scales = tuple(
        replace(s, image=np.broadcast_to(nothing, s.image.shape), corners=s.corners[:0], strength=s.strength[:0])
        for s in features.scales
    )
    return replace(features, scales=scales, flat=np.broadcast_to(np.zeros(1, np.float32), features.flat.shape))
