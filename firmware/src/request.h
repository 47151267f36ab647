/* What was asked for by single bytes and by the limit switch, at any moment, until it is taken. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdint.h>

enum request {
	ASKED_STATUS = 1,
	ASKED_HOLD = 2,
	ASKED_RESUME = 4,
	ASKED_JOG_CANCEL = 8,
	ASKED_RESET = 16,
	MET_HARD_LIMIT = 32,
};

void request_make(uint8_t request); /* from interrupts, too */
uint8_t request_take(uint8_t requests);
void request_forget(void);

#endif
