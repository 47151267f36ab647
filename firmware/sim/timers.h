/* Habits of stock GRBL's timers that the chip bears and simavr does not. */
#ifndef TIMERS_H
#define TIMERS_H

#include "sim_avr.h"

/* Timer 0 starts from what was written to its counter while it stood still: so long is GRBL's step pulse. Once, after avr_init. */
void timers_hook(avr_t *avr);

/* simavr forgets at a reset that its cycles begin anew, and a timer would stand still for as long as the MCU had run before. */
void timers_after_reset(avr_t *avr);

/* Timer 1 matches at once while its top is 0, as it is until GRBL's first step. To be called again and again. */
void timers_match_at_zero(avr_t *avr);

#endif
