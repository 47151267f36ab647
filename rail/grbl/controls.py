"""What a carriage needs of its controller, whatever that speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from rail.grbl.identity import Identity, Rest
from rail.grbl.link import LINE_S, Link
from rail.grbl.protocol import Reply, Status


class Controls(Protocol):
    """One controller with an X axis. Lengths are its own millimetres; every method raises rail errors only."""

    link: Link
    inches: bool
    reset_on_open: bool
    outputs_on: bool
    speed_mm_min: float
    feed_override: float

    @property
    def hides_pull_off(self) -> bool:
        """It does not tell how far it backs off from its switch after homing."""

    @property
    def shows_inputs(self) -> bool:
        """Its reports name the inputs that are active."""

    def identify(self) -> Identity:
        """Ask who answers."""

    def settings(self) -> dict[int, float]:
        """Its settings, under GRBL's numbers whatever they are called there."""

    def write_setting(self, number: int, value: float) -> None:
        """Set one of them, in the unit in which this controller shows it."""

    def store_settings(self) -> str:
        """Make what was written last; returns what the user has to know, "" where all is done."""

    def setting_name(self, number: int) -> str:
        """How GRBL's setting `number` is called there."""

    def startup_lines(self) -> Mapping[int, str]:
        """Lines that it runs at each start, by number; without the empty ones."""

    def report_mm(self, settings: Mapping[int, float]) -> float:
        """Twice the largest error of a position it reports."""

    def offset(self) -> tuple[float, ...]:
        """Machine position minus work position, for X, Y, Z."""

    def answers(self) -> bool:
        """Does one that fell silent answer again?"""

    def report(self) -> Status:
        """One report."""

    def rest_report(self, *, need_offset: bool = False) -> Status:
        """A report at rest, confirmed."""

    def machine(self, status: Status) -> tuple[float, ...]:
        """Machine position of a report."""

    def machine_seen(self, status: Status) -> tuple[float, ...] | None:
        """That, without asking for more."""

    def work_offset_seen(self) -> tuple[float, ...] | None:
        """The offset last seen since the last reset."""

    def set_offset(self, work_x_mm: float | None, work_z_mm: float, work_y_mm: float = 0.0) -> float:
        """Declare the present place to be `work_x_mm` with the origin's name `work_y_mm` (None: leave both), and the origin's mark;
        the name that stands there then.
        """

    def forget_origin(self) -> None:
        """Take the origin's mark away."""

    def run(
        self,
        machine_mm: float,
        feed_mm_min: float,
        limit_s: float,
        *,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        """Move X and return once it stands."""

    def jog(
        self,
        machine_mm: float,
        feed_mm_min: float,
        limit_s: float,
        *,
        watch: Callable[[Status], None],
        on_slice: Callable[[], None],
    ) -> None:
        """Move X in a way that the controller lets be broken off, and return once it stands."""

    def command(self, line: str, limit_s: float = LINE_S) -> list[Reply]:
        """Send a line that starts no motion; outputs wait for the motion before them."""

    def let_go(self, word: str, limit_s: float) -> None:
        """Switch outputs off by `word`, or by whatever else is left."""

    def watch(self, seconds: float, *, on_slice: Callable[[], None]) -> None:
        """Let time pass at rest; a restart, an alarm or silence ends it."""

    def home(self, limit_s: float, *, on_slice: Callable[[], None]) -> list[str]:
        """Run the homing cycle; what the controller said about it."""

    def switch_closed(self) -> bool:
        """Whether the end switch of X reads as closed, at rest."""

    def soft_limits_off(self) -> AbstractContextManager[None]:
        """Without the controller's soft limits, where they can be switched off for a while."""

    def place_in_alarm(self) -> tuple[float, ...]:
        """Machine position where a hard limit stopped the motors; it stays locked."""

    def unlock(self) -> None:
        """Leave an alarm."""

    def hold(self) -> str:
        """Stop motion where nothing answers, as far as that can be told to it without losing its count; the state then, in words."""

    def halt(self, *, need_offset: bool) -> Rest:
        """Bring it to rest, keeping its count where that is possible."""

    def wake(self, rest: Rest) -> Rest:
        """Leave a state of rest in which it hears no line, or carries none out; `rest` as it is where it is in none."""
