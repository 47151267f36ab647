"""What is wrong with a controller's set-up for a rail: pure, from its settings, its inputs, who it is, and the profile."""

from __future__ import annotations

from collections.abc import Iterator

from rail.grbl.findings import Finding, Setup, Severity

_TOLERANCE = 0.002
_STEP_RATE = {"grbl": 30_000.0, "grblhal": 100_000.0, "fluidnc": 75_000.0, "marlin": 40_000.0}
"""Steps/s that such a board makes without trouble (Marlin on an AVR makes several a tick; 32-bit boards make more)."""

_FASTEST_MM_S, _FASTEST_MM_S2 = 50.0, 2_000.0
_SLOWEST_MM_S, _SLOWEST_MM_S2 = 0.05, 0.5
_FASTEST_TURN_HZ = 15.0
_FASTEST_SEARCH = 1200.0


def diagnose(setup: Setup) -> list[Finding]:
    """Check a controller against the needs of a rail; worst first."""
    checks = (_holding, _signals, _scale, _speed, _direction, _limits, _inputs, _homing, _reports, _starting, _opening)
    found = [finding for check in checks for finding in check(setup)]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _holding(setup: Setup) -> Iterator[Finding]:
    settings = setup.settings
    if settings.get(1, 255) != 255:
        yield Finding(
            setup.name(1),
            Severity.WRONG,
            f"{setup.shown(1)} lets go of the motor {settings[1]:g} ms after each move; the carriage slips to a full step.",
            setup.mend(1, 255),
        )
    if settings.get(0, 10) < 3:
        yield Finding("$0", Severity.WRONG, f"$0={settings[0]:g} us is too short a step pulse.", "Set $0=10.")


def _signals(setup: Setup) -> Iterator[Finding]:
    """Outputs turned round; grblHAL's $4 depends on the board."""
    settings, alone = setup.settings, setup.identity.dialect == "grbl"
    if alone and settings.get(4, 0):
        yield Finding(
            "$4",
            Severity.WARNING,
            f"$4={settings[4]:g} turns the drivers' enable round: the usual ones (A4988, DRV8825, TMC: low is on) let go of the motor "
            "where it should be held, and nothing moves.",
            "Set $4=0, unless your drivers are enabled by a high level.",
        )
    if alone and int(settings.get(2, 0)) & 1:
        yield Finding(
            "$2",
            Severity.NOTE,
            f"$2={settings[2]:g} turns the step pulse round: the usual drivers then step at its end, too late after a change of direction.",
            f"Set $2={int(settings[2]) ^ 1}, unless your driver asks for it.",
        )


def _scale(setup: Setup) -> Iterator[Finding]:
    theirs, ours, name = setup.settings.get(100), setup.profile.steps_per_mm, setup.name(100)
    if theirs is None or theirs <= 0:
        yield Finding(
            name,
            Severity.WRONG,
            f"{name} gives no steps/mm; nothing would move.",
            f"Set {name} to the rail's steps/mm.",
        )
    elif ours is not None and abs(ours - theirs) > _TOLERANCE * ours:
        yield Finding(
            name,
            Severity.WARNING,
            f"{setup.shown(100)} steps/mm, profile {setup.profile.name!r} says {ours:.3f}; focusrail goes by the profile, "
            "other programs will not.",
            f"{setup.mend(100, round(ours, 3))[:-1]} (`focusrail rail settings --write`), or take the profile that fits.",
        )


def _speed(setup: Setup) -> Iterator[Finding]:
    settings, profile, name = setup.settings, setup.profile, setup.name
    theirs = settings.get(100, 0.0)
    for number, what in ((110, "maximum rate"), (120, "acceleration")):
        if settings.get(number, 1.0) <= 0:
            yield Finding(
                name(number),
                Severity.WRONG,
                f"{setup.shown(number)}: the {what} is zero.",
                f"Set {name(number)} above zero.",
            )
    speed, most = settings.get(110, 0.0) / 60, _STEP_RATE.get(setup.identity.dialect, 30_000.0)
    if theirs > 0 and speed * theirs > most:
        yield Finding(
            name(110),
            Severity.WRONG,
            f"{setup.shown(110)} mm/min asks for {speed * theirs:.0f} steps/s; such a controller makes {most:.0f}.",
            f"{setup.mend(110, round(most * 60 / theirs * 0.9))} Less is fine.",
        )
    elif (drive := profile.drive) is not None and speed * drive.gear / drive.lead_mm > _FASTEST_TURN_HZ:
        yield Finding(
            name(110),
            Severity.WARNING,
            f"{setup.shown(110)} mm/min turns the motor {speed * drive.gear / drive.lead_mm:.0f} times a second; "
            "a stepper on 12 V stalls there, and nobody notices the lost steps.",
            f"{setup.mend(110, round(_FASTEST_TURN_HZ * 60 * drive.lead_mm / drive.gear / 2))} Less is fine.",
        )
    elif speed > _FASTEST_MM_S:
        yield Finding(
            name(110),
            Severity.WARNING,
            f"{setup.shown(110)} mm/min ({speed:.0f} mm/s) is far beyond what a focusing rail needs; steps get lost.",
            f"{setup.mend(110, 600)} Less is fine.",
        )
    elif 0 < speed < _SLOWEST_MM_S:
        yield Finding(
            name(110),
            Severity.WARNING,
            f"{setup.shown(110)} mm/min: a millimetre takes {1 / speed:.0f} s.",
            setup.mend(110, 100),
        )
    rate = settings.get(120, 10.0)
    if rate > _FASTEST_MM_S2:
        yield Finding(
            name(120),
            Severity.WARNING,
            f"{setup.shown(120)} mm/s2 jerks camera and rail at every start; steps get lost, and shake takes longer to die away.",
            f"{setup.mend(120, (profile.acceleration_um_s2 or 1e5) / 1000)} Less is fine.",
        )
    elif 0 < rate < _SLOWEST_MM_S2:
        yield Finding(
            name(120),
            Severity.WARNING,
            f"{setup.shown(120)} mm/s2 is so slow that every step of a stack takes seconds.",
            setup.mend(120, 50),
        )
    elif (wanted := profile.acceleration_um_s2) is not None and abs(wanted / 1000 - rate) > _TOLERANCE * rate:
        yield Finding(
            name(120),
            Severity.WARNING,
            f"{setup.shown(120)} mm/s2, profile {profile.name!r} wants {wanted / 1000:g}; the controller's counts.",
            setup.mend(120, wanted / 1000),
        )


def _direction(setup: Setup) -> Iterator[Finding]:
    if setup.identity.dialect in {"fluidnc", "marlin"} or 3 not in setup.settings:
        return
    inverted, expected = bool(int(setup.settings[3]) & 1), setup.profile.direction_inverted
    if expected is not None and inverted is not expected:
        yield Finding(
            "$3",
            Severity.WRONG,
            f"$3={setup.settings[3]:g} turns the motor the other way than profile {setup.profile.name!r} was set up with: near and "
            "far change places, and homing runs away from its switch.",
            f"Set $3={int(setup.settings[3]) ^ 1}.",
        )
    elif expected is None and inverted and setup.profile.invert:
        yield Finding(
            "$3",
            Severity.WARNING,
            f"$3={setup.settings[3]:g} and the profile's `invert` both turn the direction round: twice is not at all.",
            f"Try `focusrail rail jog 1mm`: it must go towards the subject. If not, set $3={int(setup.settings[3]) ^ 1} or drop `invert`.",
        )
    elif expected is None and inverted:
        yield Finding(
            "$3",
            Severity.NOTE,
            f"$3={setup.settings[3]:g}: the direction is turned round in the controller; the profile does not say whether that is meant.",
            "Try `focusrail rail jog 1mm`: it must go towards the subject. If it does, put "
            f"`direction_inverted = true` into the profile; if not, set $3={int(setup.settings[3]) ^ 1}.",
        )


def _limits(setup: Setup) -> Iterator[Finding]:
    settings, profile, name = setup.settings, setup.profile, setup.name
    if settings.get(20, 0) and not setup.homing:
        yield Finding(
            name(20),
            Severity.WRONG,
            f"{setup.shown(20)} (soft limits) without {name(22)}=1 (homing) cannot work: the controller's zero is wherever it was "
            "switched on.",
            f"Set {name(20)}=0, or {name(22)}=1 on a rail with a switch.",
        )
    travel = settings.get(130, 0.0)
    wanted_um = profile.travel_um
    if wanted_um is not None and 130 in settings and travel * 1000 < wanted_um * (1 - _TOLERANCE):
        yield Finding(
            name(130),
            Severity.WARNING,
            f"{setup.shown(130)} mm is shorter than the profile's travel of {wanted_um / 1000:g} mm: the far part cannot be reached, "
            "and homing may not find its switch.",
            setup.mend(130, wanted_um / 1000),
        )
    elif setup.homing and 130 in settings and travel <= settings.get(27, 0.0):
        yield Finding(
            name(130),
            Severity.WRONG,
            f"{setup.shown(130)} mm leaves no travel behind the pull-off.",
            f"Set {name(130)} to the rail's travel.",
        )


def _inputs(setup: Setup) -> Iterator[Finding]:
    hard, active = bool(setup.settings.get(21, 0)), "X" in setup.pins
    flip = int(setup.settings.get(5, 0)) ^ (1 if setup.identity.dialect == "grbl" else 7)
    mend = (
        "mend the pin in config.yaml (`:low`, `:high`, `:pu`)"
        if setup.identity.dialect == "fluidnc"
        else f"set $5={flip}"
    )
    if active:
        spare = (
            " grblHAL's inputs are normally closed: one with nothing on it is active."
            if setup.identity.dialect == "grblhal"
            else ""
        )
        yield Finding(
            setup.name(5),
            Severity.WRONG if hard or setup.homing else Severity.WARNING,
            "The limit input of X reads as pressed while the rail stands: its switch is stuck, wired the other way round (normally "
            f"closed or open), or absent.{spare}"
            + (" With hard limits on, every move ends in ALARM:1." if hard else "")
            + (" Homing fails with ALARM:8." if setup.homing else ""),
            f"If the carriage does not stand on the switch: {mend}, or mend the wiring.",
        )
    if hard and not setup.homing:
        yield Finding(
            setup.name(21),
            Severity.WARNING if active else Severity.NOTE,
            f"{setup.shown(21)}: hard limits on a rail without homing. Inputs without a switch pick up the motor's noise and stop the "
            "rail with ALARM:1.",
            f"Set {setup.name(21)}=0 on a rail without switches.",
        )


def _homing(setup: Setup) -> Iterator[Finding]:
    if not setup.homing:
        return
    settings, name = setup.settings, setup.name
    # What is homed has shown that it homes.
    alone = (
        setup.homed
        or setup.identity.homes_alone
        or (setup.identity.dialect == "grblhal" and int(settings.get(22, 0)) & 2)
    )
    passes = [settings.get(44 + index) for index in range(3)]
    if setup.identity.dialect == "grblhal" and not alone and passes != [1.0, 0.0, 0.0] and None not in passes:
        yield Finding(
            "$44",
            Severity.WARNING,
            f"$44={passes[0]:g}, $45={passes[1]:g}, $46={passes[2]:g}: homing moves other axes than X, which have no switch; it fails "
            "with ALARM:9.",
            "Set $44=1, $45=0 and $46=0, or add 2 to $22 (then focusrail sends $HX).",
        )
    elif setup.identity.dialect == "grbl" and not alone:
        yield Finding(
            "$22",
            Severity.WARNING,
            "$22=1: stock GRBL homes Z first, then X and Y; on a rail with one switch `$H` fails with ALARM:9.",
            "Use a build for one axis (focusrail's own firmware, or one with HOMING_SINGLE_AXIS_COMMANDS), wire the one switch to the "
            "limit inputs of all three axes, or set $22=0 and use `focusrail rail zero`.",
        )
    if setup.identity.dialect == "marlin":
        return
    if settings.get(27, 1.0) <= 0:
        yield Finding(
            name(27), Severity.WRONG, f"{setup.shown(27)}: homing cannot back off its switch.", setup.mend(27, 1)
        )
    slow, fast = settings.get(24, 25.0), settings.get(25, 500.0)
    for number, rate in ((24, slow), (25, fast)):
        if rate <= 0:
            yield Finding(
                name(number),
                Severity.WRONG,
                f"{setup.shown(number)}: homing would never end.",
                f"Set {name(number)} above zero.",
            )
    if slow > fast > 0:
        yield Finding(
            name(24),
            Severity.WARNING,
            f"{setup.shown(24)} mm/min, the slow approach to the switch, is faster than the search ({setup.shown(25)}): the origin "
            "comes out differently each time.",
            setup.mend(24, round(min(60.0, fast / 4), 1)),
        )
    elif slow > 300:
        yield Finding(
            name(24),
            Severity.WARNING,
            f"{setup.shown(24)} mm/min is too fast to find the switch to a few micrometres.",
            setup.mend(24, 60),
        )
    top = settings.get(110, 0.0)
    if min(fast, top or fast) > _FASTEST_SEARCH:
        yield Finding(
            name(25),
            Severity.WARNING,
            f"{setup.shown(25)} mm/min is a fast search: the carriage runs over the switch before it stops, or the motor stalls.",
            setup.mend(25, 300),
        )
    elif fast > 4 * top > 0:
        yield Finding(
            name(25),
            Severity.NOTE,
            f"{setup.shown(25)} mm/min is far above the highest rate ({setup.shown(110)}), which is what homing runs at.",
            setup.mend(25, round(top)),
        )


def _reports(setup: Setup) -> Iterator[Finding]:
    settings = setup.settings
    if settings.get(13, 0):
        yield Finding(
            "$13", Severity.WARNING, "$13=1: reports in inches, so only every 2.5 um can be told apart.", "Set $13=0."
        )
    if not int(settings.get(10, 1)) & 1:
        yield Finding(
            "$10",
            Severity.NOTE,
            f"$10={settings[10]:g}: reports give work positions, which need the offset to be read.",
            "Set $10=1 (or 3 with the buffer).",
        )
    if settings.get(32, 0):
        yield Finding("$32", Severity.WARNING, "$32=1: laser mode; a rail has no laser.", "Set $32=0.")


def _starting(setup: Setup) -> Iterator[Finding]:
    for number, line in setup.startup.items():
        yield Finding(
            f"$N{number}",
            Severity.WARNING,
            f"$N{number}={line}: the controller runs this line at every start and after every stop that needs a reset. What moves there "
            "moves with nobody watching; what sets offsets or outputs sets them behind focusrail's back.",
            f"Clear it: type `$N{number}=` into a terminal.",
        )


def _opening(setup: Setup) -> Iterator[Finding]:
    if setup.reset_on_open:
        yield Finding(
            "reset-on-open",
            Severity.WARNING,
            "The controller restarts when its port is opened, so every new command finds the position unknown.",
            "focusrail has asked the port to leave it running from now on (as `stty -hupcl -F PORT` does); if this comes again, put a "
            "10 uF capacitor between RESET and GND of the board, or work within one command.",
        )
    if setup.identity.dialect == "marlin" and "EMERGENCY_PARSER" not in setup.identity.options:
        yield Finding(
            "EMERGENCY_PARSER",
            Severity.WARNING,
            "This Marlin has no emergency parser: homing, or a long move that another program sent, cannot be broken off by focusrail "
            "(its own moves can).",
            "Build it with EMERGENCY_PARSER.",
        )
