#include "sum.h"

#include <stdbool.h>
#include <util/crc16.h>

enum { DIGITS = SUM_TAIL - 1, NO_TAIL = 255 };

static uint16_t sum, before_tail, said;
static uint8_t digits;
static bool empty, opened;

void sum_begin(void)
{
	sum = 0xffff;
	digits = NO_TAIL;
	empty = true;
	opened = false;
}

static uint8_t digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9' ? byte - '0' : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : NO_TAIL;
}

void sum_take(uint8_t byte)
{
	uint8_t value = digit(byte);

	if (empty) {
		opened = byte == '*';
	} else if (byte == '*') {
		before_tail = sum;
		said = digits = 0;
	} else if (digits < DIGITS && value != NO_TAIL) {
		said = (uint16_t)(said << 4 | value);
		digits++;
	} else {
		digits = NO_TAIL;
	}
	empty = false;
	sum = _crc_xmodem_update(sum, byte);
}

/* One of the two marks that has got lost does not make an unsummed line of it. */
enum sum sum_of_line(void)
{
	bool closed = digits == DIGITS;

	if (!opened && !closed)
		return SUM_NONE;
	return opened && closed && said == before_tail ? SUM_RIGHT : SUM_WRONG;
}
