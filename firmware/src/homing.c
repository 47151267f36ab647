#include "homing.h"

#include <stdlib.h>

#include "gcode.h"
#include "limits.h"
#include "machine.h"
#include "park.h"
#include "print.h"
#include "report.h"
#include "request.h"
#include "settings.h"
#include "stepper.h"
#include "watchdog.h"

enum { LOCATE_PULL_OFFS = 5, NOTABLE_STEPS = 2 };

/* Go, and slow down gently when the switch changes; no step is lost on the way. False where it was broken off. */
static bool leg(int32_t target, float rate, enum limits_change when)
{
	if (!limits_at(when))
		machine_plan_and_move(target, rate);
	limits_slow_down_at(when);
	while (stepper_moving()) {
		machine_service();
		if (machine_aborted())
			break;
		watchdog_sleep();
	}
	limits_slow_down_at(LIMITS_NEVER);
	if (machine_aborted())
		return false;
	return machine_wait_ms((uint16_t)setting(SETTING_HOMING_DEBOUNCE));
}

/* The highest speed from which three quarters of the pull-off are enough to stop in: switches bear no more. */
static float seek_rate(int32_t pull_off)
{
	float rate = machine_rate(setting(SETTING_HOMING_SEEK));
	float per_mm = (float)setting(SETTING_STEPS_PER_MM) * 1e-6f;

	while (ramp_stopping_distance(rate, (float)setting(SETTING_ACCELERATION) * per_mm,
				      (float)setting(SETTING_JERK) * per_mm) > 0.75f * (float)pull_off)
		rate *= 0.8f;
	return rate;
}

static enum error_code fail(enum alarm_code code)
{
	if (!machine_aborted()) {
		machine_alarm(code);
		report_answer(ERROR_LOCKED);
		request_make(ASKED_RESET); /* as GRBL does: hosts wait for the banner */
	}
	return ERROR_LOCKED;
}

static void tell_shift(int32_t steps)
{
	print("[MSG:Switch met ");
	print_whole(steps);
	print(" steps from its place: steps were lost]\r\n");
}

/* The place of the carriage once it stands off the switch, and that of the switch itself. */
static void places(bool negative, int32_t *end, int32_t *contact)
{
	length_t travel = setting(SETTING_TRAVEL) * 100, pull_off = setting(SETTING_HOMING_PULL_OFF) * 100;

	(void)length_to_steps(negative ? pull_off - travel : -pull_off, end);
	(void)length_to_steps(negative ? -travel : 0, contact);
}

enum error_code homing_run(void)
{
	bool negative = setting(SETTING_HOMING_DIRECTION) & 1, was_homed = machine_homed;
	int32_t toward = negative ? -1 : 1;
	int32_t travel, pull_off, end, expected, contact, shift;
	float slow = machine_rate(setting(SETTING_HOMING_FEED)), fast;

	if (!length_to_steps(setting(SETTING_TRAVEL) * 100 / 2 * 3, &travel) ||
	    !length_to_steps(setting(SETTING_HOMING_PULL_OFF) * 100, &pull_off) || pull_off == 0)
		return ERROR_OUT_OF_RANGE;
	fast = seek_rate(pull_off);
	places(negative, &end, &expected);
	machine_state = STATE_HOMING;
	machine_lose_position();
	limits_guard(false);
	if (limits_pressed()) {
		/* It stands on the switch: get off first. */
		if (!leg(stepper_position() - toward * LOCATE_PULL_OFFS * pull_off, fast, LIMITS_OPEN) || limits_pressed())
			return fail(ALARM_HOMING_PULL_OFF);
	}
	if (!leg(stepper_position() + toward * travel, fast, LIMITS_PRESSED) || !limits_pressed())
		return fail(ALARM_HOMING_APPROACH);
	if (!leg(limits_contact() - toward * pull_off, fast, LIMITS_NEVER) || limits_pressed())
		return fail(ALARM_HOMING_PULL_OFF);
	if (!leg(stepper_position() + toward * LOCATE_PULL_OFFS * pull_off, slow, LIMITS_PRESSED) || !limits_pressed())
		return fail(ALARM_HOMING_APPROACH);
	/* The count at the first touch is what counts, however far it went on. */
	contact = limits_contact();
	if (!leg(contact - toward * pull_off, fast, LIMITS_NEVER) || limits_pressed())
		return fail(ALARM_HOMING_PULL_OFF);
	shift = contact - expected;
	if (was_homed && labs(shift) > NOTABLE_STEPS)
		tell_shift(shift);
	stepper_set_position(end);
	gcode_follow_position();
	machine_position_known = machine_homed = true;
	machine_state = STATE_IDLE;
	report_offset_changed();
	return ERROR_NONE;
}
