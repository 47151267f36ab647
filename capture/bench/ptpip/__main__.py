"""Serve one simulated camera with a test pattern: ``python -m capture.bench.ptpip [--port N] [--scale X]``.

The first line on stdout is one JSON object: ``camera`` (the gphoto2 port), ``model`` (the one to ask libgphoto2 for).
Each line on stdin is a JSON object as the bench's control port takes them: ``{"fault": NAME, ...}``, ``{"clear": NAME}``,
``{"list": "faults"}``, ``{"get": "truth"}``; the answer is a line on stdout. It ends with stdin, or when interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from fractions import Fraction
from typing import Any

from capture.bench.ptpip.camera import CameraOptions, SimulatedCamera
from capture.bench.ptpip.pattern import PatternImager, StillCarriage
from capture.bench.ptpip.settings import BodySettings, Quality
from rail.simulator import DeviceClock


def _answer(camera: SimulatedCamera, line: str) -> dict[str, Any]:
    try:
        order = json.loads(line)
        if "fault" in order:
            camera.inject(order.pop("fault"), order)
            return {"ok": True}
        if "clear" in order:
            camera.clear(order["clear"])
            return {"ok": True}
        if order.get("list") == "faults":
            return {"faults": camera.faults()}
        if order.get("get") == "truth":
            return {"shots": camera.shots, "live": camera.live, "lens_offset_um": camera.lens_offset_um}
    except (ValueError, AttributeError, TypeError) as error:
        return {"error": str(error)}
    return {"error": "not understood"}


def _options(arguments: argparse.Namespace) -> CameraOptions:
    quality = {
        "RAW": Quality(raw=True),
        "JPEG": Quality(raw=False, jpeg="fine"),
        "RAW+JPEG": Quality(raw=True, jpeg="fine"),
    }
    settings = BodySettings(quality=quality[arguments.format], shutter_s=Fraction(1, 60))
    return CameraOptions(
        maker=arguments.maker,
        port=arguments.port,
        transfer_bytes_per_s=arguments.bytes_per_s,
        settings=settings,
        card_bytes=arguments.card_mib << 20,
    )


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m capture.bench.ptpip", description="A simulated PTP/IP camera")
    parser.add_argument("--port", type=int, default=0, help="TCP port (0: a free one)")
    parser.add_argument("--maker", default="nikon")
    parser.add_argument("--scale", type=float, default=1.0, help="device time as a multiple of real time")
    parser.add_argument("--format", default="RAW", choices=("RAW", "JPEG", "RAW+JPEG"))
    parser.add_argument("--size", default="1200x800", help="pixels of the still")
    parser.add_argument("--bytes-per-s", type=float, default=None, help="transfer speed (default: unlimited)")
    parser.add_argument("--card-mib", type=int, default=32768, help="size of the card")
    parser.add_argument("--verbose", action="store_true", help="log each operation to stderr")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING, format="%(relativeCreated)9.1f %(message)s"
    )
    width, height = (int(part) for part in arguments.size.split("x"))
    imager, clock = PatternImager(width, height), DeviceClock(arguments.scale)
    with SimulatedCamera(imager, StillCarriage(), clock, _options(arguments)) as camera:
        _say({"camera": camera.port, "model": "PTP/IP Camera"})
        try:
            for line in sys.stdin:
                _say(_answer(camera, line))
        except KeyboardInterrupt:
            return 130
    return 0


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
