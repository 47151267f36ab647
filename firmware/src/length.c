#include "length.h"

#include "settings.h"

enum { PLACES = 5, WHOLE_MOST = 100000000 };

/* Sign, digits, point, digits; at least one digit. Too many whole digits stay at a value beyond every range. */
bool number_read(const char **text, number_t *number)
{
	const char *at = *text;
	uint8_t digits = 0, places = 0;

	number->negative = *at == '-';
	number->whole = number->fraction = 0;
	if (*at == '-' || *at == '+')
		at++;
	for (; *at >= '0' && *at <= '9'; at++, digits = 1)
		number->whole = number->whole >= WHOLE_MOST ? 10ul * WHOLE_MOST : number->whole * 10 + (uint8_t)(*at - '0');
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, digits = 1) {
			if (places < PLACES)
				number->fraction = number->fraction * 10 + (uint8_t)(*at - '0');
			else if (places == PLACES && *at >= '5')
				number->fraction++;
			if (places <= PLACES)
				places++;
		}
	}
	for (; places < PLACES; places++)
		number->fraction *= 10;
	if (number->fraction >= LENGTH_PER_MM) {
		number->fraction -= LENGTH_PER_MM;
		number->whole++;
	}
	*text = at;
	return digits;
}

/* Rounded to the nearest, halves away from zero; `under` is positive. */
int64_t length_divide(int64_t over, int64_t under)
{
	return over < 0 ? -((-over + under / 2) / under) : (over + under / 2) / under;
}

/* False where it is beyond 20 m. Compares magnitudes: avr-gcc 5.4 gets a two-sided range of 64 bits wrong. */
bool length_fits(int64_t value, length_t *length)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (magnitude > LENGTH_MOST)
		return false;
	*length = (length_t)value;
	return true;
}

bool number_to_length(const number_t *number, bool inches, length_t *length)
{
	int64_t value = (int64_t)number->whole * LENGTH_PER_MM + number->fraction;

	if (inches)
		value = length_divide(value * 254, 10);
	return length_fits(number->negative ? -value : value, length);
}

/* steps/mm has 3 decimals: 10^5 units of length and 10^3 of the setting. */
bool length_to_steps(length_t length, int32_t *steps)
{
	int64_t value = length_divide((int64_t)length * setting(SETTING_STEPS_PER_MM), 100000000);

	if ((uint64_t)(value < 0 ? -value : value) > STEPS_MOST)
		return false;
	*steps = (int32_t)value;
	return true;
}

static int32_t clamp(int64_t value)
{
	return value > INT32_MAX ? INT32_MAX : value < -INT32_MAX ? -INT32_MAX : (int32_t)value;
}

length_t length_from_steps(int32_t steps)
{
	return clamp(length_divide((int64_t)steps * 100000000, setting(SETTING_STEPS_PER_MM)));
}

/* For a report: um, or 0.0001 inch. Straight from steps, so that it is rounded only once. */
int32_t length_report_steps(int32_t steps, bool inches)
{
	int64_t per_mm = setting(SETTING_STEPS_PER_MM);

	if (inches)
		return clamp(length_divide((int64_t)steps * 100000000, 254 * per_mm));
	return clamp(length_divide((int64_t)steps * 1000000, per_mm));
}

int32_t length_report(length_t length, bool inches)
{
	return (int32_t)(inches ? length_divide(length, 254) : length_divide(length, 100));
}
