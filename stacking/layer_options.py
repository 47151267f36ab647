"""How layered files are asked for."""

from __future__ import annotations

from stacking.errors import StackingUsageError

LAYER_SUFFIXES = (".psd", ".psb", ".tif", ".tiff")


def parse_layer_frames(text: str | None) -> int | None:
    """``auto``, ``none``, or a number.

    Raises
    ------
    StackingUsageError
    """
    if text is None or text == "auto":
        return None
    if text == "none":
        return 0
    if not text.isdigit():
        raise StackingUsageError(f"--layer-frames {text}: that is no number", remedy="Give auto, none, or a number.")
    return int(text)
