"""The controller's outputs, as an axis offers them: a shutter's release, pressed after the motion before it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rail.grbl.guard import GuardedAxis
from rail.grbl.link import REPORT_S

OUTPUTS_OFF = "M9"


class OutputAxis(GuardedAxis):
    """An axis whose controller has outputs (`rail.shutter.Outputs`)."""

    @property
    def has_mist_output(self) -> bool:
        """The controller was built with M7, as its options ($I) say."""
        return self._identity.dialect != "marlin" and "M" in self._identity.options.split(",")[0]

    def pulse(self, words: Sequence[tuple[str, float]], rest_s: float = 0.0) -> tuple[float, ...]:
        """Switch outputs on, one word after the other, each kept on for some seconds; then off, by whatever way this ends.

        Parameters
        ----------
        words : sequence of (str, float)
            Planner-synchronised words (``M7``, ``M8``): each waits for the motion before it. With the seconds until the next.
        rest_s : float
            Watched after that, too: a controller that fails is noticed.

        Returns
        -------
        tuple of float
            When each word was acknowledged: seconds of `time.time`.

        Raises
        ------
        RailRefusedError
            The controller does not know a word.
        RailStoppedError
            `stop` ended it.
        RailDeviceError
            What was on is off, or the message says that it may not be.
        """
        with self._turn.taken():
            self._ready()
            controller, at = self._controller, []
            with self._halting():
                try:
                    for word, seconds in words:
                        controller.command(word, self._output_s)
                        at.append(time.time())
                        controller.watch(seconds, on_slice=self._turn.check)
                finally:
                    if controller.link.open:
                        controller.let_go(OUTPUTS_OFF, self._output_s)
                controller.watch(rest_s, on_slice=self._turn.check)
            return tuple(at)

    @property
    def _output_s(self) -> float:
        """Deadline for an output word: focusrail's firmware waits for settle, half press and hold inside it."""
        return REPORT_S + sum(self._settings.get(number, 0.0) for number in (272, 273, 274)) / 1000
