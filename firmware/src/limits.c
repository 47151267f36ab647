#include "limits.h"

#include <util/atomic.h>
#include <util/delay.h>

#include "board.h"
#include "request.h"
#include "settings.h"
#include "stepper.h"

static volatile bool pressed;
static volatile int32_t contact;
static volatile bool guarding;
static volatile enum limits_change slow_down_at;
static uint8_t stable;
static int32_t first_seen;

static bool raw(void)
{
	bool low = !(LIMIT_PIN & _BV(LIMIT_BIT));

	return low != (settings_now[SETTING_LIMIT_INVERT] != 0);
}

void limits_start(void)
{
	LIMIT_PORT |= _BV(LIMIT_BIT); /* pull-up */
	_delay_us(100);		      /* for it to charge lead and filter capacitor */
	pressed = raw();
}

/* A change counts once it lasted for the filter's time; the place is where it was first seen. */
void limits_sample(void)
{
	bool now = raw();

	if (now == pressed) {
		stable = 0;
		return;
	}
	if (stable == 0)
		first_seen = stepper_position();
	if (++stable < settings_now[SETTING_LIMIT_FILTER])
		return;
	stable = 0;
	pressed = now;
	if (limits_at(slow_down_at))
		stepper_slow_down();
	if (!now)
		return;
	contact = first_seen;
	if (guarding && stepper_moving()) {
		stepper_halt();
		request_make(MET_HARD_LIMIT);
	}
}

bool limits_pressed(void)
{
	return pressed;
}

bool limits_at(enum limits_change change)
{
	return (change == LIMITS_PRESSED && pressed) || (change == LIMITS_OPEN && !pressed);
}

/* Come to rest gently from the moment on at which the switch changes so. */
void limits_slow_down_at(enum limits_change change)
{
	slow_down_at = change;
}

/* Steps at which the switch closed last. */
int32_t limits_contact(void)
{
	int32_t there;

	ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { there = contact; }
	return there;
}

/* Stop at once when the switch closes in motion. */
void limits_guard(bool on)
{
	guarding = on;
}
