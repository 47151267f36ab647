/* The serial line between the simulated MCU's UART and a pseudo-terminal, with its faults. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_avr.h"

enum { WIRE_QUEUE = 8192 };

typedef struct {
	avr_t *avr;
	avr_irq_t *input;
	int master, slave;
	char link[256];

	/* host to MCU, given to the UART one byte time apart */
	uint8_t queue[WIRE_QUEUE];
	unsigned head, tail;
	bool feeding;
	unsigned byte_cycles;

	/* faults, each way: after so many bytes, so many are dropped or have a bit flipped */
	struct trouble {
		unsigned after, drop, flip;
	} in, out;
	void (*struck)(void *); /* called at each */
	void *struck_param;
	uint64_t taken, given;
	uint64_t read, written; /* bytes from and to the pseudo-terminal */
} wire_t;

bool wire_start(wire_t *w, avr_t *avr, const char *link, unsigned baud);
bool wire_plug(wire_t *w);
void wire_unplug(wire_t *w);
void wire_poll(wire_t *w);
void wire_await(wire_t *w, uint64_t read);
void wire_after_reset(wire_t *w);
void wire_put(wire_t *w, const uint8_t *bytes, unsigned count);

#endif
