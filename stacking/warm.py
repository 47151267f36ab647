"""Compiles every loop ahead: ``python -m stacking.warm``, at installation, so that no picture waits for a compiler."""

from __future__ import annotations

import importlib
import pkgutil

import stacking


def kernel_modules() -> list[str]:
    """Names of the modules that hold compiled loops."""
    return sorted(
        module.name
        for module in pkgutil.walk_packages(stacking.__path__, "stacking.")
        if module.name.rpartition(".")[2].endswith("kernels")
    )


def warm() -> list[str]:
    """Import, and so compile and cache, every module of compiled loops; returns their names."""
    names = kernel_modules()
    for name in names:
        importlib.import_module(name)
    return names


if __name__ == "__main__":
    warm()
