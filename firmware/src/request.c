#include "request.h"

#include <util/atomic.h>

static volatile uint8_t asked;

void request_make(uint8_t request)
{
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { asked |= request; }
}

uint8_t request_take(uint8_t requests)
{
	uint8_t taken;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		taken = asked & requests;
		asked &= ~requests;
	}
	return taken;
}

void request_forget(void)
{
	asked = 0;
}
