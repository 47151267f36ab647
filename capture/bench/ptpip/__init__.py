"""A simulated camera on PTP/IP (CIPA DC-005, over ISO 15740 PTP), driven by libgphoto2 as any camera on a network.

`SimulatedCamera` is the whole of it; `python -m capture.bench.ptpip` serves one with a test pattern. What is the camera's
(exposure, storage, faults) stands in `body`, `storage` and `faults`; what is the wire's in `packets`, `datasets` and
`responder`; what is one maker's (property codes, vendor operations) in a dialect such as `nikon`.
"""

from capture.bench.ptpip.camera import CameraOptions, SimulatedCamera

__all__ = ["CameraOptions", "SimulatedCamera"]
