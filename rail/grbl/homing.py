"""Homing, and what it finds out about the way before it: a switch that closes elsewhere than expected means lost steps."""

from __future__ import annotations

import re

from rail.axis import AxisState, AxisStatus
from rail.errors import HOMING_OFF, RailAlarmError
from rail.grbl.contact import HARD_LIMIT, Contact, SwitchPlace, SwitchSearch, notable_steps, place_of
from rail.grbl.guard import GuardedAxis

_TOLD = re.compile(r"Switch met (-?\d{1,9}) steps from its place")


class HomingAxis(GuardedAxis):
    """An axis that homes where its controller can."""

    @property
    def switch_shift_um(self) -> float | None:
        """How far from its place the last `home` of this object found the switch, um of position (0: within its scatter).

        None where there was nothing to compare with: the position did not come from the switch, or soft limits forbade to
        look. At a limit of the search (`rail.grbl.contact`) it is the least that it can be.
        """
        return self._shift_um

    def home(self) -> AxisStatus:
        """Find the end switch; the place where homing ends becomes `RailProfile.home_position_um` (0).

        While the position comes from the switch, it is first looked whether that still closes where it should
        (`switch_shift_um`); if not, `notices` tells of it.

        Raises
        ------
        RailAlarmError
            Homing failed: switch not found or stuck.
        RailRefusedError
            Homing is not enabled.
        """
        with self._turn.taken():
            self._take_in()
            self._restart_untold = False  # which this answers
            if not self._settings.get(22, 0):
                self._settings = self._controller.settings()
            if not self._settings.get(22, 0):
                raise self._controller.link.book.refused(HOMING_OFF, "$H", state="Nothing has moved.")
            if self._controller.link.alarm is not None or self._ready(any_state=True) != "Idle":
                self._unlock()
            self._shift_um = None
            self._locked_at_contact = False
            place = place_of(self._carriage, self._profile, self._settings)
            told = self._identity.tells_slips
            before = None if place is None or told else self._search(place)
            if not self._locked_at_contact:
                self._carriage.forget_origin()
            self._ledger.lose("homing did not finish")
            self._controller.link.alarm = None
            with self._halting(homing=True):
                said = self._controller.home(self._carriage.rates.homing_s, on_slice=self._turn.check)
            self._locked_at_contact = False
            for text in said:  # a firmware that found its switch elsewhere than expected says so: steps had been lost
                self._say(f"While homing the controller said: {text}.")
            x = self._controller.machine(self._controller.rest_report())[0]
            self._ledger.arrive(self._grid.steps_at(x))  # GRBL sets the count from $27 and $130: one it can report
            self._carriage.rising = None
            self._carriage.set_origin(self._profile.home_position_um, homed=True)
            if told and place is not None:
                self._take_told(said)
            elif place is not None and before is not None:
                self._compare(place, before)
            return self._axis_status(AxisState.IDLE)

    def _search(self, place: SwitchPlace) -> Contact | None:
        """Where the switch closes, in the old count."""
        with self._halting():
            try:
                search = SwitchSearch(self._carriage, place, self._settings, self._turn.check)
                with self._controller.soft_limits_off():
                    found = search.find()
            except RailAlarmError as error:
                if error.code == HARD_LIMIT:
                    raise
                self._unlock()  # not this way, then: homing still works
                return None
        stopped = found is not None and not found.past and not found.already
        self._locked_at_contact = stopped and bool(self._settings.get(21, 0))
        return found

    def _compare(self, place: SwitchPlace, before: Contact) -> None:
        here = self._ledger.machine
        assert here is not None
        expected = place.contact
        if expected is None:  # the controller does not tell where: look again, in the new count
            again = self._search(SwitchPlace(here, place.toward, None, bounded=place.bounded))
            with self._halting():
                self._carriage.go(here, on_slice=self._turn.check)
            if again is None or again.past:
                return
            expected = again.step
        elif abs(here - place.home) > 1:
            return  # settings or profile were changed since the rail was homed: nothing to compare
        elif before.past and not self._settings.get(21, 0) and not self._shows_switch(place):
            return
        shift = before.step - expected
        notable = notable_steps(abs(self._grid.um(1)))
        self._shift_um = self._grid.um(shift) if before.past or abs(shift) > 0 else 0.0
        if abs(shift) > notable or before.past:
            least = before.past or before.already
            self._tell_shift(self._shift_um, early=shift * place.toward < 0, least=least)

    def _shows_switch(self, place: SwitchPlace) -> bool:
        """Do reports show the switch at all? Right after homing it must be closed behind its place."""
        assert place.contact is not None
        behind = place.contact + place.toward * round(notable_steps(abs(self._grid.um(1))))
        with self._halting():
            self._carriage.go(behind, on_slice=self._turn.check)
            shown = self._controller.switch_closed()
            self._carriage.go(place.home, on_slice=self._turn.check)
        return shown

    def _take_told(self, said: list[str]) -> None:
        found = next((match for text in said if (match := _TOLD.match(text))), None)
        self._shift_um = self._grid.um(int(found.group(1))) if found else 0.0

    def _tell_shift(self, shift_um: float, *, early: bool, least: bool) -> None:
        where = "before" if early else "behind"
        much = f"{'at least ' if least else ''}{abs(shift_um):.0f} um"
        self._say(
            f"The end switch was met {much} {where} its place: steps were lost since the rail was homed last, or the carriage "
            "was moved by hand. Homing has mended the position; what was shot meanwhile may stand elsewhere than it says. "
            "If it comes again: a lower speed or acceleration, more motor current, a cleaner screw."
        )
