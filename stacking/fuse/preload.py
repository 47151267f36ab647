"""The compiled loops of the fusion, loaded beside the registration: half a second that no frame waits for."""

from __future__ import annotations

import gc
import importlib
import threading
from contextlib import suppress

_LOOPS = ("warp_kernels", "pyramid_kernels", "focus_prior_kernels", "chroma_kernels", "sweep_kernels", "depth_kernels")


def preload() -> None:
    """Begin to load them in a thread; who needs one before it is there waits for it as for any import."""
    threading.Thread(target=_load, name="preload").start()


def _load() -> None:
    # What a compiler's library imports stays: looking through it for garbage, while it loads and ever after, costs as much again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for name in _LOOPS:
            # whoever imports it later is told what is wrong
            with suppress(Exception):
                importlib.import_module(f"stacking.fuse.{name}")
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
