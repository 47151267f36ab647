"""How every compiled loop of the fusion is declared and run: machine code made at installation, free of the interpreter's lock.

A loop is written in the part of Python that numba compiles, with its signature. ``python -m stacking.warm`` compiles all loops of a
module into one object file beside it (`stacking.fuse.loop_compiler`). A run only links that file and calls it by address: the compiler
itself, which takes 0.4 s and some eighty MiB, is loaded only where the file is missing or was made for another machine.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import logging
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from platformdirs import user_cache_path

if TYPE_CHECKING:
    from llvmlite.binding import LLJIT, TargetMachine

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger(__name__)
_DIGEST_BYTES = hashlib.sha256().digest_size  # before each object file's content
_ARGUMENT = re.compile(r"(\w+)\s*(?:\[([^\]]*)\])?")
_Native = Callable[[bytes], int]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a loop: its type as numba names it, and its dimensions; 0 for a number."""

    kind: str
    ndim: int

    def takes(self, value: Any) -> bool:
        """Whether a value may be handed over as it lies in memory."""
        if not self.ndim:
            return not isinstance(value, np.ndarray)
        is_one = isinstance(value, np.ndarray) and value.ndim == self.ndim and value.flags.c_contiguous
        return is_one and value.dtype.name == {"boolean": "bool"}.get(self.kind, self.kind)


class Loop:
    """A compiled loop. It is called as the function it was written as, with values of the declared types.

    Parameters
    ----------
    function : callable
        That numba can compile; it returns nothing.
    signatures : sequence of str
        ``void(float32[:,::1], int64)`` and the like: C-contiguous arrays and numbers. The first that fits the values is run.
    """

    def __init__(self, function: FunctionType, signatures: Sequence[str]) -> None:
        self.function = function
        self.variants = tuple(_arguments(text) for text in signatures)
        self._packers = [struct.Struct("".join(_words(variant))) for variant in self.variants]
        self._native: dict[int, _Native] = {}
        functools.update_wrapper(self, function)

    def symbol(self, number: int) -> str:
        """The name of a variant in the object file."""
        return f"{self.function.__name__}.{number}"

    def __call__(self, *values: Any) -> None:
        """Run it.

        Raises
        ------
        TypeError
            Where no signature fits the values.
        """
        number, words = self._handed_over(values, 0)
        _run(self._address(number), self._packers[number].pack(*words))

    def over_rows(self, *values: Any) -> Callable[[int, int], None]:
        """The loop with all its values but the last two, a range of rows.

        Raises
        ------
        TypeError
            As a call.
        """
        number, words = self._handed_over(values, 2)
        native, pack = self._address(number), self._packers[number].pack

        def run(first: int, stop: int, _alive: tuple[Any, ...] = values) -> None:
            _run(native, pack(*words, first, stop))

        return run

    def _handed_over(self, values: tuple[Any, ...], to_come: int) -> tuple[int, list[Any]]:
        """The variant that takes the values, and their words; `to_come` more numbers follow."""
        for number, variant in enumerate(self.variants):
            if len(values) + to_come == len(variant) and all(map(Argument.takes, variant, values)):
                words: list[Any] = []
                for argument, value in zip(variant, values, strict=False):
                    words += [value.__array_interface__["data"][0], *value.shape] if argument.ndim else [value]
                return number, words
        seen = ", ".join(f"{v.dtype}{list(v.shape)}" if isinstance(v, np.ndarray) else repr(v) for v in values)
        raise TypeError(f"{self.function.__name__} takes no ({seen}), or not as it lies in memory")

    def _address(self, number: int) -> _Native:
        if number not in self._native:
            address = linked(self.function.__module__)[self.symbol(number)]
            self._native[number] = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p)(address)
        return self._native[number]


def compiled(*signatures: str) -> Callable[[Callable[..., None]], Loop]:
    """Declare a function of a module whose name ends in ``kernels`` a compiled loop, for the given signatures."""

    def declared(function: Callable[..., None]) -> Loop:
        assert isinstance(function, FunctionType)
        return Loop(function, signatures)

    return declared


def inlined(function: Function) -> Function:
    """A small function that compiled loops call; it has no life of its own in Python."""
    INLINED.add(function)
    return function


INLINED: set[Callable[..., Any]] = set()


def _run(native: _Native, words: bytes) -> None:
    if native(words):
        raise MemoryError("a compiled loop could not have its working rows")


def _arguments(signature: str) -> tuple[Argument, ...]:
    inside = signature[signature.index("(") + 1 : -1]
    return tuple(Argument(kind, len(axes.split(",")) if axes else 0) for kind, axes in _ARGUMENT.findall(inside))


def _words(arguments: Sequence[Argument]) -> Iterator[str]:
    """Of eight bytes each: an array is its address and its shape."""
    for argument in arguments:
        yield "q" * (1 + argument.ndim) if argument.ndim or argument.kind.startswith("int") else "d"


class _Linker:
    """Holds the machine code of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jit: LLJIT | None = None
        self._found: dict[str, Any] = {}

    def linked(self, module: str) -> Any:
        with self._lock:
            if module not in self._found:
                from llvmlite import binding

                if self._jit is None:
                    self._jit = binding.create_lljit_compiler(target_machine())
                if (content := kept_object_of(module)) is None:
                    _log.warning("compiling %s, as at installation: some seconds", module)
                    content = object_of(module)
                library = binding.JITLibraryBuilder().add_object_img(content).add_current_process()
                for loop in loops_of(module):
                    for number in range(len(loop.variants)):
                        library.export_symbol(loop.symbol(number))
                self._found[module] = library.link(self._jit, module)
            return self._found[module]


_LINKER = _Linker()


def linked(module: str) -> Any:
    """Addresses of a module's loops by their symbols; linked once in a process."""
    return _LINKER.linked(module)


def loops_of(module: str) -> list[Loop]:
    """The loops that a module declares."""
    found = vars(importlib.import_module(module)).values()
    return [loop for loop in found if isinstance(loop, Loop) and loop.function.__module__ == module]


def object_of(module: str) -> bytes:
    """The object file of a module's loops, compiled and kept where there is none that fits and is whole."""
    if (content := kept_object_of(module)) is not None:
        return content
    from stacking.fuse.loop_compiler import compile_loops

    content = compile_loops(loops_of(module))
    for place in _places(module):
        with suppress(OSError):
            _keep(place, _file_name(module), hashlib.sha256(content).digest() + content)
            return content
    _log.warning("what was compiled cannot be kept in %s: it will be compiled in each run", place)
    return content


def kept_object_of(module: str) -> bytes | None:
    """The object file of a module's loops as it was kept; None where there is none, or not as it was written."""
    for place in _places(module):
        with suppress(OSError):
            kept = (place / _file_name(module)).read_bytes()
            content = kept[_DIGEST_BYTES:]
            if hashlib.sha256(content).digest() == kept[:_DIGEST_BYTES]:
                return content
    return None


def _places(module: str) -> tuple[Path, Path]:
    return _source(module).parent / "__pycache__", user_cache_path("focusrail") / "loops"


def _file_name(module: str) -> str:
    return f"{module.rpartition('.')[2]}.{_key(module)}.o"


def _keep(place: Path, name: str, content: bytes) -> None:
    place.mkdir(parents=True, exist_ok=True)
    beside = place / f".{name}.{os.getpid()}.part"
    try:
        beside.write_bytes(content)
        for old in place.glob(f"{name.split('.')[0]}.*.o"):
            old.unlink(missing_ok=True)
        beside.replace(place / name)
    finally:
        beside.unlink(missing_ok=True)


@functools.cache
def target_machine() -> TargetMachine:
    """The machine that this runs on, with all it can."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="default",
    )


def _key(module: str) -> str:
    """Of everything that the machine code of a module's loops depends on: their source, what they call, and the machine."""
    import llvmlite
    from llvmlite import binding

    machine = (llvmlite.__version__, binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    seen = hashlib.sha256(repr(machine).encode())
    for path in sorted({_source(name) for name in (*_called(module), "stacking.fuse.loop_compiler")}):
        seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _called(module: str) -> set[str]:
    """A module of loops, and all whose small functions it calls."""
    others = {f.__module__ for f in vars(importlib.import_module(module)).values() if callable(f) and f in INLINED}
    return {module}.union(*(_called(other) for other in others - {module}))


def _source(module: str) -> Path:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)
