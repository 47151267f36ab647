#include "carriage.h"

#include <stdlib.h>

void carriage_start(carriage_t *c, double start_um)
{
	c->carriage_um = start_um;
	carriage_clear_times(c);
}

void carriage_clear_times(carriage_t *c)
{
	c->last_step = 0;
	c->min_interval = c->min_high = c->min_setup = UINT64_MAX;
}

/* The nut follows the screw only where the play between them is used up. */
static double follow(const carriage_t *c, double nut_um, double carriage_um)
{
	double play = c->backlash_um;

	if (nut_um > carriage_um + play)
		return nut_um - play;
	if (nut_um < carriage_um)
		return nut_um;
	return carriage_um;
}

static double nut_at(const carriage_t *c, int64_t rotor)
{
	return (double)(c->invert ? -rotor : rotor) * c->um_per_step;
}

static void note_times(carriage_t *c, uint64_t cycle)
{
	if (c->last_step && cycle - c->last_step < c->min_interval)
		c->min_interval = cycle - c->last_step;
	if (c->last_direction && cycle - c->last_direction < c->min_setup)
		c->min_setup = cycle - c->last_direction;
	c->last_step = cycle;
	if (!c->recording)
		return;
	if (c->recorded == c->capacity) {
		size_t wanted = c->capacity ? 2 * c->capacity : 4096;
		struct pulse *grown = realloc(c->record, wanted * sizeof *grown);

		if (!grown)
			return;
		c->record = grown;
		c->capacity = wanted;
	}
	c->record[c->recorded++] = (struct pulse){cycle, c->steps};
}

void carriage_step(carriage_t *c, bool positive, bool enabled, uint64_t cycle)
{
	int64_t moved = c->rotor + (positive ? 1 : -1);
	double there = follow(c, nut_at(c, moved), c->carriage_um);

	c->pulses++;
	c->steps += positive ? 1 : -1;
	note_times(c, cycle);
	if (!enabled) {
		c->lost++;
		c->disabled++;
		return;
	}
	if (c->to_lose > 0) {
		c->to_lose--;
		c->lost++;
		return;
	}
	if (c->jammed || there < c->low_stop_um || there > c->high_stop_um) {
		c->lost++;
		return;
	}
	c->rotor = moved;
	c->carriage_um = there;
}

/* A hand turns the screw: the motor and all behind it. */
void carriage_push(carriage_t *c, double um)
{
	int64_t steps = (int64_t)(um / c->um_per_step);

	c->rotor += c->invert ? -steps : steps;
	c->carriage_um = follow(c, nut_at(c, c->rotor), c->carriage_um);
}

bool carriage_pressed(const carriage_t *c)
{
	if (c->stuck != STUCK_NOT)
		return c->stuck == STUCK_PRESSED;
	if (!c->has_switch)
		return false;
	return c->switch_at_high ? c->carriage_um >= c->switch_um : c->carriage_um <= c->switch_um;
}
