#include "clock.h"

#include <util/atomic.h>

static volatile uint16_t milliseconds;

void clock_count(void)
{
	milliseconds++;
}

uint16_t clock_ms(void)
{
	uint16_t now;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = milliseconds; }
	return now;
}
