"""Compiles declared loops to an object file, by numba and LLVM; a run needs it only where no such file fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numba
from llvmlite import binding, ir
from numba import carray, types
from numba.extending import intrinsic

from stacking.fuse.compiled import INLINED, Argument, Loop, target_machine

# Contraction to fused multiply-add only: no reordering, so the same frames give the same bytes.
_FAST_MATH = {"contract", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": _FAST_MATH, "error_model": "numpy", "boundscheck": False}

# What numba's code expects of its runtime: memory for working rows with a header of eight-byte words, of which the first counts
# references and the fourth points at the data.
_RUNTIME = """
declare ptr @malloc(i64)
declare void @free(ptr)
define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %step = zext i32 %align to i64
  %head = add i64 %step, 64
  %all = add i64 %size, %head
  %memory = call ptr @malloc(i64 %all)
  %none = icmp eq ptr %memory, null
  br i1 %none, label %failed, label %got
got:
  %start = ptrtoint ptr %memory to i64
  %end = add i64 %start, %head
  %over = urem i64 %end, %step
  %place = sub i64 %end, %over
  %data = inttoptr i64 %place to ptr
  store i64 1, ptr %memory
  %pointer = getelementptr i8, ptr %memory, i64 24
  store ptr %data, ptr %pointer
  ret ptr %memory
failed:
  ret ptr null
}
define void @NRT_MemInfo_call_dtor(ptr %memory) {
  call void @free(ptr %memory)
  ret void
}
"""
_ENTRY = """
declare i32 @"{native}"(ptr, ptr, ptr)
define i32 @"{symbol}"(ptr %words) {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %result, ptr %error, ptr %words)
  ret i32 %status
}}
"""
_UNKNOWN = re.compile(r"^declare [^@]*@\"?((?:NRT|numba|Py)\w*)", re.MULTILINE)


def compile_loops(loops: Sequence[Loop]) -> bytes:
    """Compile every variant of the loops into one object file.

    A variant's function takes a pointer to its values, eight bytes each, and returns 0 where all went well.

    Raises
    ------
    RuntimeError
        Where a loop needs more of numba's runtime than memory for working rows.
    """
    whole = binding.parse_assembly(_RUNTIME)
    known: dict[Callable[..., Any], Any] = {}
    for loop in loops:
        dispatcher = _dispatcher(loop.function, known)
        for number, variant in enumerate(loop.variants):
            taking = numba.njit(
                [types.void(types.CPointer(types.int64))], no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS
            )(_unpacking(dispatcher, variant))
            signature = taking.signatures[0]
            native = taking.overloads[signature].fndesc.llvm_func_name
            whole.link_in(binding.parse_assembly(taking.inspect_llvm(signature)))
            whole.link_in(binding.parse_assembly(_ENTRY.format(native=native, symbol=loop.symbol(number))))
    if unknown := sorted(set(_UNKNOWN.findall(str(whole)))):
        raise RuntimeError(f"compiled loops need {', '.join(unknown)} of numba's runtime")
    whole.verify()
    return bytes(target_machine().emit_object(whole))


def _dispatcher(function: Callable[..., Any], known: dict[Callable[..., Any], Any]) -> Any:
    """A function as numba calls it, and all declared ones that it calls."""
    if function not in known:
        assert isinstance(function, FunctionType)
        names = dict(function.__globals__)
        for name in function.__code__.co_names:
            value = names.get(name)
            if isinstance(value, Loop):
                names[name] = _dispatcher(value.function, known)
            elif isinstance(value, FunctionType) and value in INLINED:
                names[name] = _dispatcher(value, known)
        copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
        known[function] = numba.njit(inline="never", **_OPTIONS)(copy)
    return known[function]


def _unpacking(dispatcher: Any, variant: Sequence[Argument]) -> Callable[..., None]:
    """A function of a pointer to words that calls a loop with the values that stand there."""
    names: dict[str, Any] = {"carray": carray, "loop": dispatcher, "number": intrinsic(_float64)}
    values, at = [], 0
    for argument in variant:
        if argument.ndim:
            names[f"to_{argument.kind}"] = _pointer(getattr(types, argument.kind))
            shape = ", ".join(f"words[{at + 1 + axis}]" for axis in range(argument.ndim))
            values.append(f"carray(to_{argument.kind}(words[{at}]), ({shape},))")
        elif argument.kind.startswith("int"):
            values.append(f"words[{at}]")
        else:
            values.append(f"{argument.kind}(number(words[{at}]))")
            names[argument.kind] = getattr(types, argument.kind)
        at += 1 + argument.ndim
    exec(f"def unpacking(words):\n    loop({', '.join(values)})\n", names)
    unpacking: Callable[..., None] = names["unpacking"]
    return unpacking


def _pointer(kind: Any) -> Any:
    """What takes an address for a pointer to values of that kind."""

    def pointer(_context: Any, word: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(word), code

    return intrinsic(pointer)


def _float64(_context: Any, word: Any) -> Any:
    """Eight bytes as a float64."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(word), code
