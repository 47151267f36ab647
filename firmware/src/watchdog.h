/* Sleep between interrupts, and a reset when the main loop or the tick stands still for a second. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

uint8_t watchdog_causes(void);
void watchdog_start(void);
void watchdog_alive(void);
void watchdog_sleep(void);

#endif
