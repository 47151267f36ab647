/* EEPROM: blocks with a checksum, and where they lie. */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	STORE_SETTINGS_A = 0,
	STORE_SETTINGS_B = 256,
	STORE_SYSTEMS = 512,
	STORE_SYSTEM_BYTES = 16,
	STORE_PARK = 656,
};

uint16_t store_checksum(uint16_t sum, const void *bytes, uint8_t count);
bool store_read(uint16_t at, void *bytes, uint8_t count);
void store_write(uint16_t at, const void *bytes, uint8_t count);
void store_spoil(uint16_t at, uint8_t count);

#endif
