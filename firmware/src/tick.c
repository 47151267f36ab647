#include "tick.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "clock.h"
#include "limits.h"
#include "stepper.h"

static uint16_t next_tick;

void tick_start(void)
{
	TCCR1A = 0;
	TCCR1B = _BV(CS11); /* 16 MHz / 8 */
	next_tick = COUNTS_PER_TICK;
	OCR1B = next_tick;
	OCR1A = 1;
	TIMSK1 = _BV(OCIE1B);
}

/* What must be on time is done first; what takes long, with interrupts on, so that steps and bytes are not late. */
ISR(TIMER1_COMPB_vect)
{
	uint16_t tick = next_tick;

	next_tick += COUNTS_PER_TICK;
	OCR1B = next_tick ? next_tick : 1;
	stepper_begin_tick(tick);
	clock_count();
	sei();
	stepper_prepare_tick();
	limits_sample();
}
