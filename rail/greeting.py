"""The first words with a controller: which kind is it?"""

from __future__ import annotations

from rail.errors import RailTimeoutError
from rail.grbl import encode
from rail.grbl.controller import Controller
from rail.grbl.controls import Controls
from rail.grbl.identity import unknown_controller
from rail.grbl.link import POLL_S, Link
from rail.grbl.protocol import Banner, ErrorReply, Status, Unrecognised
from rail.marlin.controller import MarlinController
from rail.marlin.link import MarlinBook
from rail.marlin.protocol import ASK_NAME, HALTED, names_marlin, names_stranger, says_busy, says_halted

GREET_S = 6.0
"""How long a controller may take until it has said who it is."""

SILENT_S = 3.5
"""How long until its first word, whatever that is: an Uno with a slow boot loader needs 2 s; a reset is sent at 2.5 s."""

_ASK_NAME_S = (0.3, 1.5, 4.0)
_KICK_S = 2.5


def greet(link: Link) -> Controls:
    """Wait for the first sign of life: a status report, the banner of a controller that restarts when opened, or Marlin's name.

    A controller of GRBL's family that stays silent may be homing or locked by a critical alarm; a soft reset ends both.

    Raises
    ------
    RailUnknownControllerError
        Something answers that nobody here knows.
    RailTimeoutError
        Nothing answers.
    """
    start = link.now()
    next_poll, kicked = start, False
    asks = [start + after for after in _ASK_NAME_S]
    heard: list[str] = []
    restarted = False
    while (now := link.now()) < (end := start + (GREET_S if link.heard else SILENT_S)):
        if now >= next_poll:
            link.realtime(encode.STATUS)
            next_poll = now + POLL_S
        if asks and now >= asks[0]:
            asks.pop(0)
            link.realtime(b"\n" + ASK_NAME.encode("ascii") + b"\n")  # GRBL refuses it, and nothing comes of it
        if not kicked and now >= start + _KICK_S and not heard:
            kicked = True
            link.realtime(encode.SOFT_RESET)
        reply = link.receive(min([next_poll, end, *asks]))
        if isinstance(reply, Banner):
            link.reset_seen = False
            return Controller(link, banner=reply.text, reset_on_open=not kicked)
        if isinstance(reply, Status):
            return Controller(link)
        if isinstance(reply, Unrecognised):
            text = reply.text
            if text == "start":  # Marlin's first word, and that of its kin
                restarted = True
                asks = [link.now() + 0.3, *asks]
            if says_halted(text):
                link.on_halt()
                raise MarlinBook().alarmed(HALTED, doing=f"it said {text!r}")
            if names_marlin(text) or says_busy(text):
                return MarlinController.over(link, reset_on_open=restarted, busy=says_busy(text))
            heard.append(text)
            if names_stranger(text):
                raise unknown_controller(text)
        elif isinstance(reply, ErrorReply):
            heard.append(f"error:{reply.code}")
    if heard:
        raise unknown_controller(" / ".join(heard[:4]))
    raise RailTimeoutError(
        "Nothing answers on this port.",
        remedy="Check that the controller has power, that this is its port, and that it speaks at 115200 baud (else set the "
        "profile's `baud`). A Marlin that has halted itself (kill, M112) answers nothing either: press its reset button. Nor does one "
        "in a dwell (G4) of another program: what stands behind that moves when it ends.",
        state="Not known.",
    )
