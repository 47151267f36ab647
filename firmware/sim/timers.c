#include "timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "avr_timer.h"
#include "sim_io.h"

enum { TCCR0B = 0x45, TCNT0 = 0x46, TIMSK1 = 0x6f, TCCR1B = 0x81, OCR1AL = 0x88, OCR1AH = 0x89 };
enum { CLOCK = 7, OCIE1A = 1 << 1, WGM12 = 1 << 3, TIMER1_COMPA = 11 };

static struct {
	bool stopped, written, again;
	uint8_t count;
} timer0;

/* simavr's own are called before these, and set the memory. */
static void on_count(avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
	(void)avr;
	(void)address;
	(void)param;
	if (timer0.again || !timer0.stopped)
		return;
	timer0.written = true;
	timer0.count = value;
}

static void on_clock(avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
	bool starts = timer0.stopped && value & CLOCK;

	(void)address;
	(void)param;
	timer0.stopped = !(value & CLOCK);
	if (!starts || !timer0.written)
		return;
	timer0.written = false;
	timer0.again = true;
	avr->io[AVR_DATA_TO_IO(TCNT0)].w.c(avr, TCNT0, timer0.count, avr->io[AVR_DATA_TO_IO(TCNT0)].w.param);
	timer0.again = false;
}

void timers_hook(avr_t *avr)
{
	timer0.stopped = true;
	avr_register_io_write(avr, TCNT0, on_count, NULL);
	avr_register_io_write(avr, TCCR0B, on_clock, NULL);
}

void timers_after_reset(avr_t *avr)
{
	timer0.stopped = true;
	timer0.written = false;
	for (avr_io_t *part = avr->io_port; part; part = part->next)
		if (!strcmp(part->kind, "timer")) {
			avr_timer_t *timer = (avr_timer_t *)part; /* which begins with it */

			timer->tov_base = 0;
			timer->phase_accumulator = 0;
		}
}

void timers_match_at_zero(avr_t *avr)
{
	const uint8_t *data = avr->data;

	if (!(data[TIMSK1] & OCIE1A) || !(data[TCCR1B] & WGM12) || !(data[TCCR1B] & CLOCK) || data[OCR1AL] || data[OCR1AH])
		return;
	for (int i = 0; i < avr->interrupts.vector_count; i++)
		if (avr->interrupts.vector[i]->vector == TIMER1_COMPA)
			avr_raise_interrupt(avr, avr->interrupts.vector[i]);
}
