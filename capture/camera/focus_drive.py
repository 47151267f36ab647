"""The orders that move a lens's focus motor by a number of steps, in each maker's words. Pure.

A motor has no scale: its steps are relative, and only those of one size can be counted. Nikon counts itself (a range), Sony takes one step
an order (its numbers are speeds), Canon, Olympus and Panasonic take words, of which only the smallest is used, and Canon wants `None`
between two of them. Positive steps focus farther away.
"""

from __future__ import annotations

from collections.abc import Iterator

from capture.camera.roles import Setting

_COUNTED_AT_LEAST = 100.0
"""A range that reaches this far counts steps; a smaller one gives speeds."""


def counts_steps(setting: Setting) -> bool:
    """Whether one order can be for many steps."""
    return setting.bounds is not None and setting.bounds[1] >= _COUNTED_AT_LEAST


def _words(setting: Setting) -> tuple[str, str, str]:
    """The orders for one small step nearer, one farther, and for rest (empty where there is none), in any language by their order."""
    choices = setting.choices
    near = next((choice for choice in choices if choice.casefold().replace(" ", "") == "near1"), choices[0])
    far = next((choice for choice in choices if choice.casefold().replace(" ", "") == "far1"), "")
    middle = len(choices) // 2
    rest = choices[middle] if len(choices) % 2 else ""
    if not far:
        far = choices[middle + 1] if rest else choices[middle]
    return near, far, rest


def focus_orders(setting: Setting, steps: int) -> Iterator[str]:
    """The values to write, one after the other, to move by `steps` (positive: farther).

    Nothing is yielded for 0 steps, nor for a setting that moves no motor.
    """
    if steps == 0:
        return
    if setting.bounds is not None and counts_steps(setting):
        bottom, top, _ = setting.bounds
        left = steps
        while left:
            part = int(max(bottom, min(top, left)))
            yield str(part)
            left -= part
    elif setting.bounds is not None:
        for _ in range(abs(steps)):
            yield "1" if steps > 0 else "-1"
    elif len(setting.choices) >= 2:
        near, far, rest = _words(setting)
        for _ in range(abs(steps)):
            yield far if steps > 0 else near
            if rest:
                yield rest
