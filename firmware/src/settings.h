/* The $ settings: in RAM, and twice in EEPROM with a checksum. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"

extern int32_t settings_now[SETTING_COUNT];

/* A setting in units of its last decimal. */
static inline int32_t setting(enum setting_index index)
{
	return settings_now[index];
}

bool settings_load(void);
void settings_defaults(void);
void settings_save(void);
uint16_t settings_number(uint8_t index);
uint8_t settings_decimals(uint8_t index);
enum error_code settings_change(uint16_t number, bool negative, uint32_t whole, uint32_t hundred_thousandths);

#endif
