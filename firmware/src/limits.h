/* The limit switch: filtered, and where the motor was when it closed. */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stdint.h>

void limits_start(void);
void limits_sample(void); /* every tick */
bool limits_pressed(void);
int32_t limits_contact(void);
void limits_guard(bool on);

enum limits_change { LIMITS_NEVER, LIMITS_PRESSED, LIMITS_OPEN };
void limits_slow_down_at(enum limits_change change);
bool limits_at(enum limits_change change);

#endif
