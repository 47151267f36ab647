#include "shutter.h"

#include "board.h"
#include "clock.h"
#include "machine.h"
#include "settings.h"

enum { INVERT_RELEASE = 1, INVERT_HALF_PRESS = 2 };

static bool released_on, half_on;
static uint16_t pressed_at;

static void drive(void)
{
	int32_t inverted = setting(SETTING_SHUTTER_INVERT);

	if (released_on != ((inverted & INVERT_RELEASE) != 0))
		RELEASE_PORT |= _BV(RELEASE_BIT);
	else
		RELEASE_PORT &= ~_BV(RELEASE_BIT);
	if (half_on != ((inverted & INVERT_HALF_PRESS) != 0))
		HALF_PRESS_PORT |= _BV(HALF_PRESS_BIT);
	else
		HALF_PRESS_PORT &= ~_BV(HALF_PRESS_BIT);
}

void shutter_off(void)
{
	released_on = half_on = false;
	drive();
}

void shutter_start(void)
{
	shutter_off();
	RELEASE_DDR |= _BV(RELEASE_BIT);
	HALF_PRESS_DDR |= _BV(HALF_PRESS_BIT);
}

void shutter_half_press(void)
{
	half_on = true;
	drive();
}

void shutter_press(void)
{
	if (released_on)
		return;
	if (!machine_wait_ms((uint16_t)setting(SETTING_SHUTTER_SETTLE)))
		return;
	if (setting(SETTING_SHUTTER_HALF_PRESS)) {
		half_on = true;
		drive();
		if (!machine_wait_ms((uint16_t)setting(SETTING_SHUTTER_HALF_PRESS)))
			return;
	}
	released_on = true;
	drive();
	pressed_at = clock_ms();
}

void shutter_release(void)
{
	uint16_t held = clock_ms() - pressed_at;
	uint16_t least = (uint16_t)setting(SETTING_SHUTTER_HOLD);

	if (released_on && held < least)
		(void)machine_wait_ms(least - held);
	shutter_off();
}

bool shutter_pressed(void)
{
	return released_on;
}

bool shutter_half_pressed(void)
{
	return half_on;
}
