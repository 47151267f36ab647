#include "stepper.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "board.h"
#include "clock.h"
#include "settings.h"

enum { LEAST_LEAD = 8, FRACTION_BITS = 4, MAGIC = 0x5ab3 };

/* The driver counts microsteps, too, from the moment it gets power; so this count outlives a reset of the MCU. */
static struct {
	uint16_t magic, steps, complement;
} driver __attribute__((section(".noinit")));

static volatile int32_t position;
static volatile bool moving;
static bool positive;
static int8_t sign;
static uint8_t step_on, step_off;

static ramp_t ramp;
static volatile bool slow_down, ramp_over;

/* Made ready for the next tick. */
static struct {
	uint8_t steps, fraction;
	uint16_t first, interval;
} ready;

/* Of the present tick. */
static volatile uint8_t steps_left;
static uint8_t fraction, fraction_sum;
static uint16_t interval, due;

static void arm(void)
{
	uint16_t at = due, now = TCNT1;

	if ((int16_t)(at - now) < LEAST_LEAD)
		at = now + LEAST_LEAD;
	OCR1A = at ? at : 1;
}

ISR(TIMER1_COMPA_vect)
{
	STEP_PORT = (STEP_PORT & ~_BV(STEP_BIT)) | step_on;
	TCNT0 = 0;
	TCCR0B = _BV(CS01);
	position += sign;
	driver.steps += (uint16_t)sign;
	driver.complement = ~driver.steps;
	if (--steps_left == 0) {
		TIMSK1 &= ~_BV(OCIE1A);
		return;
	}
	due += interval;
	fraction_sum += fraction;
	if (fraction_sum >= _BV(FRACTION_BITS)) {
		fraction_sum -= _BV(FRACTION_BITS);
		due++;
	}
	arm();
}

ISR(TIMER0_COMPA_vect)
{
	STEP_PORT = (STEP_PORT & ~_BV(STEP_BIT)) | step_off;
	TCCR0B = 0;
}

/* Interrupts are off. */
void stepper_begin_tick(uint16_t tick)
{
	uint8_t late = steps_left; /* not yet made, because an interrupt was late */

	if (ready.steps == 0) {
		if (ramp_over && late == 0)
			moving = false;
		return;
	}
	due = tick + ready.first;
	interval = ready.interval;
	fraction = ready.fraction;
	fraction_sum = 0;
	steps_left = ready.steps + late;
	ready.steps = 0;
	arm();
	TIFR1 = _BV(OCF1A);
	TIMSK1 |= _BV(OCIE1A);
}

/* Interrupts are on; begins no tick before this returns, as it takes less than one. */
void stepper_prepare_tick(void)
{
	ramp_tick_t tick;
	uint32_t first, between;

	if (!moving || ramp_over)
		return;
	if (slow_down) {
		slow_down = false;
		ramp_slow_down(&ramp);
	}
	if (!ramp_tick(&ramp, &tick)) {
		/* Rounding leaves nothing over; if it did, the step is made here. */
		ramp_over = true;
		return;
	}
	if (tick.steps == 0)
		return;
	first = (65536ul - tick.place) * COUNTS_PER_TICK / tick.way;
	ready.first = first < COUNTS_PER_TICK ? (uint16_t)first : COUNTS_PER_TICK - 1;
	if (tick.steps > 1) {
		between = ((uint32_t)COUNTS_PER_TICK << (16 + FRACTION_BITS)) / tick.way;
		ready.interval = (uint16_t)(between >> FRACTION_BITS);
		ready.fraction = (uint8_t)between & (_BV(FRACTION_BITS) - 1);
	}
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		if (moving)
			ready.steps = tick.steps;
	}
}

void stepper_apply_settings(void)
{
	bool inverted = setting(SETTING_STEP_INVERT) & 1;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		step_on = inverted ? 0 : _BV(STEP_BIT);
		step_off = inverted ? _BV(STEP_BIT) : 0;
		STEP_PORT = (STEP_PORT & ~_BV(STEP_BIT)) | step_off;
		OCR0A = (uint8_t)(setting(SETTING_STEP_PULSE) * COUNTS_PER_US);
	}
}

void stepper_start(void)
{
	TCCR0A = 0;
	TCCR0B = 0;
	TIMSK0 = _BV(OCIE0A);
	stepper_apply_settings();
	STEP_DDR |= _BV(STEP_BIT);
	DIRECTION_DDR |= _BV(DIRECTION_BIT);
}

void stepper_enable(bool on)
{
	bool high = on == (setting(SETTING_ENABLE_INVERT) != 0);

	if (high)
		ENABLE_PORT |= _BV(ENABLE_BIT);
	else
		ENABLE_PORT &= ~_BV(ENABLE_BIT);
	ENABLE_DDR |= _BV(ENABLE_BIT);
}

int32_t stepper_position(void)
{
	int32_t now;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = position; }
	return now;
}

void stepper_set_position(int32_t there)
{
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { position = there; }
}

/* Steps since the driver got power; false where nobody knows. */
bool stepper_phase(uint16_t *phase)
{
	bool good;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		*phase = driver.steps;
		good = (uint16_t)~driver.complement == driver.steps;
	}
	return good;
}

/* `cold`: MCU and driver got power just now, so the driver stands at its home step. Noise in the RAM says so, too. */
void stepper_phase_begins(bool cold)
{
	if (!cold && driver.magic == MAGIC)
		return;
	driver.magic = MAGIC;
	driver.steps = 0;
	driver.complement = 0xffff;
}

/* Steps per tick, now. */
float stepper_speed(void)
{
	uint64_t speed;

	if (!moving)
		return 0;
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { speed = ramp.speed; }
	return (float)(uint32_t)(speed >> 32) / 65536.0f;
}

void stepper_move(const ramp_plan_t *plan, bool upwards)
{
	bool high = upwards == ((setting(SETTING_DIRECTION_INVERT) & 1) != 0);

	if (plan->steps == 0)
		return;
	positive = upwards;
	stepper_enable(true);
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		/* The first step comes a tick later at the earliest: time enough for the driver to see the direction. */
		if (high)
			DIRECTION_PORT |= _BV(DIRECTION_BIT);
		else
			DIRECTION_PORT &= ~_BV(DIRECTION_BIT);
		sign = positive ? 1 : -1;
		ramp_begin(&ramp, plan);
		slow_down = ramp_over = false;
		moving = true;
	}
}

void stepper_slow_down(void)
{
	slow_down = true;
}

/* At once; the motor may lose steps. */
void stepper_halt(void)
{
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		TIMSK1 &= ~_BV(OCIE1A);
		steps_left = 0;
		ready.steps = 0;
		moving = false;
	}
}

bool stepper_moving(void)
{
	return moving;
}
