#include "print.h"

#include "serial.h"

void print_flash(const char *text)
{
	char c;

	while ((c = (char)pgm_read_byte(text++)))
		serial_write((uint8_t)c);
}

void print_line_end(void)
{
	print("\r\n");
}

/* `value` in units of the last decimal. */
void print_fixed(int32_t value, uint8_t decimals)
{
	char digits[11];
	uint8_t count = 0;
	uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;

	do {
		digits[count++] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest || count <= decimals);
	if (value < 0)
		serial_write('-');
	while (count) {
		if (count == decimals)
			serial_write('.');
		serial_write((uint8_t)digits[--count]);
	}
}

void print_whole(int32_t value)
{
	print_fixed(value, 0);
}
