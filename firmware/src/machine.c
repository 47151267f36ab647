#include "machine.h"

#include <stdlib.h>

#include "clock.h"
#include "gcode.h"
#include "limits.h"
#include "park.h"
#include "print.h"
#include "queue.h"
#include "report.h"
#include "request.h"
#include "serial.h"
#include "settings.h"
#include "shutter.h"
#include "stepper.h"
#include "watchdog.h"

enum { IDLE_FOREVER = 255 };

enum machine_state machine_state;
bool machine_position_known, machine_homed;

static bool aborted, cancelling, resuming, held_moving;
static move_t current;
static uint16_t rest_since;

/* A reset was asked for: whoever waits returns, and the session begins anew. */
bool machine_aborted(void)
{
	return aborted;
}

void machine_lose_position(void)
{
	machine_position_known = machine_homed = false;
}

void machine_forget_motion(void)
{
	stepper_halt();
	queue_clear();
	cancelling = resuming = held_moving = false;
	current.target = stepper_position();
	gcode_follow_position();
}

void machine_alarm(enum alarm_code code)
{
	machine_forget_motion();
	shutter_off();
	if (code != ALARM_SOFT_LIMIT)
		machine_lose_position();
	machine_state = STATE_ALARM;
	report_alarm(code);
}

/* Motion ------------------------------------------------------------------------------------------------------- */

/* Steps/s of a rate in 0.001 mm/min, cut to the highest. */
float machine_rate(int32_t thousandths_mm_min)
{
	if (thousandths_mm_min > setting(SETTING_MAX_RATE))
		thousandths_mm_min = setting(SETTING_MAX_RATE);
	return (float)thousandths_mm_min * (float)setting(SETTING_STEPS_PER_MM) / 60e6f;
}

void machine_plan_and_move(int32_t target, float rate)
{
	int32_t distance = target - stepper_position();
	float per_mm = (float)setting(SETTING_STEPS_PER_MM) * 1e-6f; /* thousandths of a setting times this: steps */
	ramp_plan_t plan;

	if (distance == 0)
		return;
	park_void();
	ramp_plan(&plan, (uint32_t)labs(distance), rate * 1e-3f, (float)setting(SETTING_ACCELERATION) * per_mm * 1e-6f,
		  (float)setting(SETTING_JERK) * per_mm * 1e-9f);
	stepper_move(&plan, distance > 0);
}

static void start_next(void)
{
	if (!queue_pop(&current))
		return;
	machine_state = current.jog ? STATE_JOG : STATE_RUN;
	limits_guard(setting(SETTING_HARD_LIMITS));
	machine_plan_and_move(current.target, current.rate);
}

static void motion_ended(void)
{
	switch (machine_state) {
	case STATE_RUN:
	case STATE_JOG:
		if (cancelling) {
			machine_forget_motion();
		} else if (!queue_empty()) {
			start_next();
			return;
		}
		machine_state = STATE_IDLE;
		rest_since = clock_ms();
		break;
	case STATE_HOLD:
		held_moving = false;
		if (resuming) {
			resuming = false;
			machine_state = STATE_RUN;
			machine_plan_and_move(current.target, current.rate);
		}
		break;
	case STATE_IDLE: start_next(); break;
	default: break;
	}
}

static void hold(void)
{
	switch (machine_state) {
	case STATE_RUN:
		held_moving = true;
		machine_state = STATE_HOLD;
		stepper_slow_down();
		break;
	case STATE_IDLE:
		current.target = stepper_position();
		machine_state = STATE_HOLD;
		break;
	case STATE_HOLD: resuming = false; break;
	case STATE_JOG: request_make(ASKED_JOG_CANCEL); break;
	default: break;
	}
}

static void reset(void)
{
	bool homing = machine_state == STATE_HOMING;

	if (homing || stepper_moving())
		machine_alarm(homing ? ALARM_HOMING_RESET : ALARM_RESET_IN_MOTION);
	else if (machine_state == STATE_SLEEP)
		machine_state = STATE_ALARM;
	machine_forget_motion();
	shutter_off();
	aborted = true;
}

static void let_go_when_idle(void)
{
	int32_t delay = setting(SETTING_IDLE_DELAY);

	if (machine_state != STATE_IDLE || delay == IDLE_FOREVER)
		return;
	if ((uint16_t)(clock_ms() - rest_since) < (uint16_t)delay)
		return;
	stepper_enable(false);
	rest_since = clock_ms() - (uint16_t)delay;
}

/* What is due now. Called again and again, by whoever waits for something, too. */
void machine_service(void)
{
	watchdog_alive();
	if (aborted)
		return;
	if (request_take(ASKED_RESET)) {
		reset();
		return;
	}
	if (request_take(MET_HARD_LIMIT))
		machine_alarm(ALARM_HARD_LIMIT);
	if (request_take(ASKED_HOLD))
		hold();
	if (request_take(ASKED_JOG_CANCEL) && machine_state == STATE_JOG) {
		cancelling = true;
		queue_clear();
		stepper_slow_down();
	}
	if (request_take(ASKED_RESUME) && machine_state == STATE_HOLD)
		resuming = true;
	if (!stepper_moving())
		motion_ended();
	let_go_when_idle();
	if (request_take(ASKED_STATUS))
		report_status();
}

bool machine_hold_complete(void)
{
	return !held_moving;
}

uint8_t machine_queue_room(void)
{
	return queue_room();
}

static bool interrupted(void)
{
	return aborted || machine_state == STATE_ALARM;
}

/* At least so long, as the first tick is only a part of one. False where a reset or an alarm came in between. */
bool machine_wait_ms(uint16_t milliseconds)
{
	uint16_t begun = clock_ms();

	while (milliseconds && (uint16_t)(clock_ms() - begun) <= milliseconds) {
		machine_service();
		if (interrupted())
			return false;
		watchdog_sleep();
	}
	return true;
}

/* Until all that was queued is done. */
bool machine_wait_rest(void)
{
	for (;;) {
		machine_service();
		if (interrupted())
			return false;
		if (queue_empty() && !stepper_moving() && (machine_state == STATE_IDLE || machine_state == STATE_CHECK))
			return true;
		watchdog_sleep();
	}
}

/* Queue a move; waits for room. False where a reset or an alarm came in between. */
bool machine_go(int32_t target, float rate, bool jog)
{
	move_t move = {target, rate, jog};

	while (!queue_push(&move)) {
		machine_service();
		if (interrupted())
			return false;
		watchdog_sleep();
	}
	machine_service();
	return true;
}

/* As in GRBL: machine coordinates reach from 0 down to -$130. */
bool machine_within_limits(int32_t target)
{
	int32_t lowest;

	if (!setting(SETTING_SOFT_LIMITS))
		return true;
	(void)length_to_steps(-setting(SETTING_TRAVEL) * 100, &lowest);
	return target <= 0 && target >= lowest;
}

/* Sessions: from one reset to the next ------------------------------------------------------------------------- */

/* After power came, or the reset button. */
void machine_start(void)
{
	machine_lose_position();
	machine_state = STATE_IDLE;
	if (park_restore())
		machine_position_known = true;
	else if (setting(SETTING_HOMING))
		machine_state = STATE_ALARM;
}

void machine_begin_session(void)
{
	serial_forget_input();
	request_forget();
	aborted = false;
	if (machine_state != STATE_ALARM)
		machine_state = STATE_IDLE;
	machine_forget_motion();
	stepper_enable(true);
	report_banner();
	if (machine_state == STATE_ALARM)
		report_locked();
}
