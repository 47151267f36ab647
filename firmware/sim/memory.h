/* The EEPROM's three ways to write, of which simavr knows one: erase and write, erase alone, write alone. */
#ifndef MEMORY_H
#define MEMORY_H

#include "sim_avr.h"

/* Once, after avr_init. */
void memory_hook(avr_t *avr);

#endif
