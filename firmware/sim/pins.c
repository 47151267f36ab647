#include "pins.h"

#include <stdlib.h>

const struct pins UNO_CNC_SHIELD = {
	.step = {'D', 2},
	.direction = {'D', 5},
	.enable = {'B', 0},
	.limit = {'B', 1},
	.release = {'C', 3},
	.half_press = {'C', 4},
};

/* D0 to D7 are port D, D8 to D13 port B, A0 to A5 port C. */
bool pin_by_name(const char *name, struct pin *pin)
{
	char *end;
	long number = strtol(name + 1, &end, 10);

	if ((*name != 'D' && *name != 'A') || end == name + 1 || *end || number < 0 || number > (*name == 'A' ? 5 : 13))
		return false;
	if (*name == 'A')
		*pin = (struct pin){'C', (int)number};
	else
		*pin = number < 8 ? (struct pin){'D', (int)number} : (struct pin){'B', (int)number - 8};
	return true;
}
