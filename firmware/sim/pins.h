/* The pins that the bench looks at, by their names on an Arduino Uno. */
#ifndef PINS_H
#define PINS_H

#include <stdbool.h>

struct pin {
	char port;
	int bit;
};

/* As stock GRBL and focusrail's firmware use an Uno with a CNC shield, unless told otherwise. */
struct pins {
	struct pin step, direction, enable, limit, release, half_press;
};

extern const struct pins UNO_CNC_SHIELD;

bool pin_by_name(const char *name, struct pin *pin);

#endif
