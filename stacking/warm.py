"""Compiles every loop ahead: ``python -m stacking.warm``, at installation, so that no picture waits for a compiler."""

from __future__ import annotations

import pkgutil

import stacking
from stacking.fuse.compiled import object_of


def kernel_modules() -> list[str]:
    """Names of the modules that hold compiled loops."""
    return sorted(
        module.name
        for module in pkgutil.walk_packages(stacking.__path__, "stacking.")
        if module.name.rpartition(".")[2].endswith("kernels")
    )


def warm() -> list[str]:
    """Compile and keep every module of compiled loops that is not; returns their names."""
    names = kernel_modules()
    for name in names:
        object_of(name)
    return names


if __name__ == "__main__":
    warm()
