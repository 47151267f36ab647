/* Time: timer 1 counts half microseconds; its compare B makes the millisecond tick (tick.h), its compare A the steps. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

enum { COUNTS_PER_TICK = 2000, COUNTS_PER_US = 2, TICKS_PER_S = 1000 };

void clock_count(void); /* every tick */
uint16_t clock_ms(void);

#endif
