#include "settings.h"

#include <avr/pgmspace.h>
#include <string.h>

#include "store.h"

enum { FORMAT = 1, MOST_STEPS_PER_S = 30000 };

struct row {
	uint16_t number;
	uint8_t decimals;
	int32_t standard, low, high;
};

#define ROW(number, decimals, standard, low, high) {number, decimals, standard, low, high},
static const struct row table[SETTING_COUNT] PROGMEM = {SETTING_TABLE(ROW)};

int32_t settings_now[SETTING_COUNT];

/* Written in turns to two places, so that a supply that fails while writing costs one change and not all settings. */
struct head {
	uint8_t format, turn;
};
static uint8_t turn;

enum { BYTES = sizeof(settings_now) + sizeof(struct head) };
_Static_assert(BYTES + 2 <= STORE_SETTINGS_B - STORE_SETTINGS_A, "the settings outgrow their place");

static bool load_from(uint16_t at, struct head *head)
{
	uint8_t block[BYTES];

	if (!store_read(at, block, BYTES))
		return false;
	memcpy(head, block, sizeof *head);
	if (head->format != FORMAT)
		return false;
	memcpy(settings_now, block + sizeof *head, sizeof settings_now);
	return true;
}

void settings_defaults(void)
{
	for (uint8_t i = 0; i < SETTING_COUNT; i++)
		settings_now[i] = (int32_t)pgm_read_dword(&table[i].standard);
}

/* False where neither copy was whole; the defaults hold then. */
bool settings_load(void)
{
	struct head a, b;
	bool have_a = load_from(STORE_SETTINGS_A, &a), have_b = load_from(STORE_SETTINGS_B, &b);

	if (!have_a && !have_b) {
		settings_defaults();
		return false;
	}
	if (have_a && (!have_b || (int8_t)(a.turn - b.turn) > 0)) {
		load_from(STORE_SETTINGS_A, &a);
		turn = a.turn;
	} else {
		turn = b.turn;
	}
	return true;
}

void settings_save(void)
{
	struct head head = {FORMAT, ++turn};
	uint8_t block[BYTES];

	memcpy(block, &head, sizeof head);
	memcpy(block + sizeof head, settings_now, sizeof settings_now);
	store_write(turn & 1 ? STORE_SETTINGS_A : STORE_SETTINGS_B, block, BYTES);
}

uint16_t settings_number(uint8_t index)
{
	return pgm_read_word(&table[index].number);
}

uint8_t settings_decimals(uint8_t index)
{
	return pgm_read_byte(&table[index].decimals);
}

static enum error_code check(void)
{
	int64_t rate = (int64_t)setting(SETTING_MAX_RATE) * setting(SETTING_STEPS_PER_MM);

	if (rate > (int64_t)MOST_STEPS_PER_S * 60 * 1000000)
		return ERROR_STEP_RATE_TOO_HIGH;
	if (setting(SETTING_SOFT_LIMITS) && !setting(SETTING_HOMING))
		return ERROR_SOFT_LIMITS_NEED_HOMING;
	if (setting(SETTING_MICROSTEPS) & (setting(SETTING_MICROSTEPS) - 1))
		return ERROR_OUT_OF_RANGE;
	return ERROR_NONE;
}

/* Change one setting and save. Nothing changes where an error comes back. */
enum error_code settings_change(uint16_t number, bool negative, uint32_t whole, uint32_t hundred_thousandths)
{
	int32_t value, before;
	enum error_code error;
	uint8_t i = 0;

	while (i < SETTING_COUNT && settings_number(i) != number)
		i++;
	if (i == SETTING_COUNT)
		return ERROR_BAD_STATEMENT;
	if (negative)
		return ERROR_NEGATIVE_VALUE;
	if (whole > 2000000 && (settings_decimals(i) || whole > 2000000000))
		return ERROR_OUT_OF_RANGE;
	value = (int32_t)whole;
	if (settings_decimals(i))
		value = value * 1000 + (int32_t)(hundred_thousandths + 50) / 100;
	if (number == 0 && value < 3)
		return ERROR_STEP_PULSE_SHORT;
	if (value < (int32_t)pgm_read_dword(&table[i].low) || value > (int32_t)pgm_read_dword(&table[i].high))
		return ERROR_OUT_OF_RANGE;
	before = settings_now[i];
	settings_now[i] = value;
	if (i == SETTING_HOMING && !value)
		settings_now[SETTING_SOFT_LIMITS] = 0;
	error = check();
	if (error) {
		settings_now[i] = before;
		return error;
	}
	settings_save();
	return ERROR_NONE;
}
