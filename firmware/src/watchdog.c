#include "watchdog.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "clock.h"

static uint8_t causes __attribute__((section(".noinit")));

/* Before anything else: after a watchdog reset it goes on running, with its shortest time. */
void watchdog_off(void) __attribute__((naked, used, section(".init3")));
void watchdog_off(void)
{
	causes = MCUSR;
	MCUSR = 0;
	wdt_disable();
}

/* Bits of MCUSR at the start; 0 where a boot loader has taken them. */
uint8_t watchdog_causes(void)
{
	return causes;
}

void watchdog_start(void)
{
	wdt_enable(WDTO_1S);
}

/* The main loop goes on; the watchdog believes it only while the tick does, too. */
void watchdog_alive(void)
{
	static uint16_t last;
	uint16_t now = clock_ms();

	if (now == last)
		return;
	last = now;
	wdt_reset();
}

/* Until the next interrupt; the tick is one. */
void watchdog_sleep(void)
{
	watchdog_alive();
	set_sleep_mode(SLEEP_MODE_IDLE);
	sleep_mode();
}
