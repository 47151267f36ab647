#include "ramp.h"

#include <math.h>

enum { JERK_UP, HELD, JERK_DOWN, CRUISE, BRAKE_MORE, BRAKE_HELD, BRAKE_LESS, OVER };
enum { PLACES = 48, COARSE = 32, LONGEST_TICKS = 1000000000 };

static uint32_t ticks(float count, uint32_t least)
{
	float whole = ceilf(count);

	if (!(whole > (float)least))
		return least;
	return whole < (float)LONGEST_TICKS ? (uint32_t)whole : LONGEST_TICKS;
}

/* Steps and ticks throughout: speed in steps per tick, and so on. A jerk of 0 means none: one tick of it. */
void ramp_plan(ramp_plan_t *plan, uint32_t steps, float speed, float acceleration, float jerk)
{
	float way = (float)steps;
	float jerk_time = jerk > 0 ? acceleration / jerk : 0; /* to the full acceleration */
	float hold_time, cruise_time = 0;
	uint64_t shape, rest;

	if (jerk > 0 && speed < acceleration * jerk_time) {
		jerk_time = sqrtf(speed / jerk);
		hold_time = 0;
	} else {
		hold_time = speed / acceleration - jerk_time;
	}
	if (speed * (2 * jerk_time + hold_time) <= way) {
		cruise_time = way / speed - (2 * jerk_time + hold_time);
	} else {
		/* The way is too short for that speed. */
		float full = jerk > 0 ? acceleration / jerk : 0;
		float peak = acceleration * (sqrtf(full * full + 4 * way / acceleration) - full) / 2;

		hold_time = peak / acceleration - full;
		jerk_time = full;
		if (hold_time < 0) {
			jerk_time = cbrtf(way / (2 * jerk));
			hold_time = 0;
		}
	}
	plan->steps = steps;
	plan->jerk_ticks = ticks(jerk_time, 1);
	plan->hold_ticks = ticks(hold_time, 0);
	plan->cruise_ticks = ticks(cruise_time, 0);
	/* steps / shape with 48 binary places, rounded down: long division in two parts. */
	shape = (uint64_t)plan->jerk_ticks * (plan->jerk_ticks + plan->hold_ticks);
	shape *= 2 * plan->jerk_ticks + plan->hold_ticks + plan->cruise_ticks;
	plan->jerk = ((uint64_t)steps << COARSE) / shape;
	rest = ((uint64_t)steps << COARSE) % shape;
	plan->jerk = (plan->jerk << (PLACES - COARSE)) + (rest << (PLACES - COARSE)) / shape;
}

void ramp_begin(ramp_t *ramp, const ramp_plan_t *plan)
{
	ramp->plan = *plan;
	ramp->phase = JERK_UP;
	ramp->left = plan->jerk_ticks;
	ramp->acceleration = ramp->speed = 0;
	ramp->place = 1ull << (PLACES - 1); /* a step is due half way to its place */
	ramp->given = 0;
}

static uint32_t phase_ticks(const ramp_t *ramp)
{
	switch (ramp->phase) {
	case HELD:
	case BRAKE_HELD: return ramp->plan.hold_ticks;
	case CRUISE: return ramp->plan.cruise_ticks;
	default: return ramp->plan.jerk_ticks;
	}
}

/* The next tick. False once the motion is over. */
bool ramp_tick(ramp_t *ramp, ramp_tick_t *tick)
{
	uint64_t before = ramp->place;
	uint32_t due;

	while (ramp->left == 0 && ramp->phase < OVER) {
		ramp->phase++;
		ramp->left = ramp->phase < OVER ? phase_ticks(ramp) : 0;
	}
	tick->steps = 0;
	if (ramp->phase == OVER)
		return false;
	ramp->left--;
	switch (ramp->phase) {
	case JERK_UP:
	case BRAKE_MORE: ramp->acceleration += ramp->plan.jerk; break;
	case JERK_DOWN:
	case BRAKE_LESS: ramp->acceleration -= ramp->plan.jerk; break;
	default: break;
	}
	if (ramp->phase < CRUISE)
		ramp->speed += ramp->acceleration;
	else if (ramp->phase > CRUISE)
		ramp->speed -= ramp->acceleration;
	ramp->place = before + ramp->speed;
	due = (uint32_t)(ramp->place >> PLACES);
	ramp->place &= (1ull << PLACES) - 1;
	if (due > ramp->plan.steps - ramp->given)
		due = ramp->plan.steps - ramp->given;
	ramp->given += due;
	tick->steps = (uint8_t)due;
	tick->place = (uint16_t)(before >> (PLACES - 16));
	tick->way = (uint32_t)(ramp->speed >> (PLACES - 16));
	return true;
}

/* Come to rest as soon as the jerk allows: the acceleration so far, mirrored. Never goes farther than planned. */
void ramp_slow_down(ramp_t *ramp)
{
	ramp_plan_t *plan = &ramp->plan;

	switch (ramp->phase) {
	case JERK_UP:
		plan->jerk_ticks -= ramp->left;
		plan->hold_ticks = plan->cruise_ticks = 0;
		if (plan->jerk_ticks == 0)
			ramp->phase = OVER;
		ramp->left = 0;
		break;
	case HELD:
		plan->hold_ticks -= ramp->left;
		plan->cruise_ticks = 0;
		ramp->left = 0;
		break;
	case JERK_DOWN: plan->cruise_ticks = 0; break;
	case CRUISE: ramp->left = 0; break;
	default: break;
	}
}

/* Longest way to rest from anywhere on the way up to `speed`: an acceleration has to be taken back first. */
float ramp_stopping_distance(float speed, float acceleration, float jerk)
{
	float jerk_time = jerk > 0 ? acceleration / jerk : 0, whole;

	if (jerk > 0 && speed < acceleration * jerk_time) {
		jerk_time = sqrtf(speed / jerk);
		whole = 2 * jerk_time;
	} else {
		whole = speed / acceleration + jerk_time;
	}
	return speed * (whole / 2 + jerk_time);
}
