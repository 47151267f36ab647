"""The compiled loops of the fusion, loaded beside the registration: a tenth of a second that no frame waits for."""

from __future__ import annotations

import threading
from contextlib import suppress

from stacking.fuse.compiled import kept_object_of, linked

# In the order in which they are needed.
_LOOPS = (
    "stacking.develop_defects_kernels",
    "stacking.fuse.warp_kernels",
    "stacking.fuse.pyramid_kernels",
    "stacking.fuse.focus_prior_kernels",
    "stacking.fuse.chroma_kernels",
    "stacking.fuse.sweep_kernels",
    "stacking.fuse.depth_kernels",
)


def preload() -> None:
    """Begin to load them in a thread; who needs one before it is there waits for it as for any import."""
    threading.Thread(target=_load, name="preload").start()


def _load() -> None:
    for module in _LOOPS:
        # Whoever needs it later is told what is wrong, and waits for the compiler where nothing is kept.
        with suppress(Exception):
            if kept_object_of(module) is not None:
                linked(module)
