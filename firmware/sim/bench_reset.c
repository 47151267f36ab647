/* Resets by button, supply and watchdog, and a main program that hangs. */
#include <stdlib.h>
#include <string.h>

#include "avr_extint.h"
#include "bench.h"
#include "timers.h"

static bench_t *the_bench; /* simavr's hooks know their MCU only */

/* simavr resets the MCU itself where its watchdog bites. */
static void on_reset(avr_t *avr)
{
	bench_t *b = the_bench;

	if (b->reset_of_kind)
		b->reset_of_kind(avr);
	if (!b->resetting)
		b->bitten = true;
}

/* An endless loop where the main program is; interrupts go on. */
void hang(bench_t *b)
{
	if (b->hangs)
		return;
	b->hangs = true;
	b->hung_at = b->avr->pc;
	memcpy(b->hung, b->avr->flash + b->hung_at, sizeof b->hung);
	memcpy(b->avr->flash + b->hung_at, (uint8_t[]){0xff, 0xcf}, 2); /* rjmp .-2 */
}

static void end_hang(bench_t *b)
{
	if (b->hangs)
		memcpy(b->avr->flash + b->hung_at, b->hung, sizeof b->hung);
	b->hangs = false;
}

/* `power`: the supply was off, so the RAM holds noise; otherwise it keeps what it held. */
void reset(bench_t *b, bool power, bool watchdog)
{
	avr_t *avr = b->avr;
	size_t first = avr->ioend + 1u, length = avr->ramend - avr->ioend;
	uint8_t *kept = malloc(length);

	if (!kept)
		exit(2);
	memcpy(kept, avr->data + first, length);
	b->resets += avr->cycle;
	end_hang(b);
	b->resetting = true;
	avr_reset(avr);
	b->resetting = false;
	avr->cycle = 0;
	avr->state = cpu_Running;
	if (power)
		for (size_t i = 0; i < length; i++)
			kept[i] = (uint8_t)(i * 167u + 13u);
	memcpy(avr->data + first, kept, length);
	free(kept);
	avr->data[0x54] = watchdog ? 8 : power ? 1 : 2; /* MCUSR: WDRF, PORF or EXTRF */
	/* The step pin is INT0, by default triggered by a low level: simavr would look at it in every cycle. */
	avr_extint_set_strict_lvl_trig(avr, 0, 0);
	avr_extint_set_strict_lvl_trig(avr, 1, 0);
	avr->run_cycle_limit = SLICE; /* between two looks for timers that are due */
	wire_after_reset(&b->wire);
	timers_after_reset(avr);
	float_pins(b);
	b->boots++;
	b->bites += watchdog;
}

void hook_resets(bench_t *b)
{
	the_bench = b;
	b->reset_of_kind = b->avr->reset;
	b->avr->reset = on_reset;
}
