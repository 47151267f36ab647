/*
 * Jerk-limited motion from rest to rest, exact in steps.
 *
 * Time goes in ticks of 1 ms. The speed is the sum of an acceleration that is itself the sum of a constant jerk:
 *   jerk up (jerk_ticks), acceleration held (hold_ticks), jerk down (jerk_ticks), speed held (cruise_ticks), and back.
 * With T = 2 jerk_ticks + hold_ticks the discrete sums give a peak speed of jerk * jerk_ticks * (jerk_ticks + hold_ticks)
 * and a way of exactly peak * (T + cruise_ticks): the planner chooses whole ticks and then the jerk that makes the way the
 * wanted number of steps. Sums have 48 binary places, so nothing is lost on the way.
 */
#ifndef RAMP_H
#define RAMP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint32_t jerk_ticks, hold_ticks, cruise_ticks;
	uint64_t jerk; /* steps per tick^3, 48 binary places */
	uint32_t steps;
} ramp_plan_t;

typedef struct {
	ramp_plan_t plan;
	uint8_t phase;
	uint32_t left; /* ticks of the phase */
	uint64_t acceleration, speed, place;
	uint32_t given; /* steps handed out */
} ramp_t;

/* Steps of one tick, and where in it: the place at its begin and the way in it, 16 binary places. */
typedef struct {
	uint8_t steps;
	uint16_t place;
	uint32_t way;
} ramp_tick_t;

void ramp_plan(ramp_plan_t *plan, uint32_t steps, float speed, float acceleration, float jerk);
void ramp_begin(ramp_t *ramp, const ramp_plan_t *plan);
bool ramp_tick(ramp_t *ramp, ramp_tick_t *tick);
void ramp_slow_down(ramp_t *ramp);
float ramp_stopping_distance(float speed, float acceleration, float jerk);

#endif
