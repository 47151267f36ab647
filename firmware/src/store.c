#include "store.h"

#include <avr/eeprom.h>
#include <util/crc16.h>

#include "watchdog.h"

static uint16_t checksum_at(uint16_t at, const uint8_t *bytes, uint8_t count)
{
	/* The place is part of it, so that a block read from elsewhere is none. */
	return store_checksum(0xffff ^ at, bytes, count);
}

uint16_t store_checksum(uint16_t sum, const void *bytes, uint8_t count)
{
	const uint8_t *byte = bytes;

	while (count--)
		sum = _crc_ccitt_update(sum, *byte++);
	return sum;
}

/* Read a block; false where it is damaged or was never written. */
bool store_read(uint16_t at, void *bytes, uint8_t count)
{
	uint16_t sum;

	eeprom_read_block(bytes, (const void *)at, count);
	sum = eeprom_read_word((const uint16_t *)(at + count));
	return sum == checksum_at(at, bytes, count);
}

/* Bytes that stay the same are not written. Interrupts stay on, so no byte from the host is lost meanwhile. */
void store_write(uint16_t at, const void *bytes, uint8_t count)
{
	const uint8_t *byte = bytes;
	uint16_t sum = checksum_at(at, bytes, count);

	for (uint8_t i = 0; i < count; i++) {
		eeprom_update_byte((uint8_t *)(at + i), byte[i]);
		watchdog_alive();
	}
	eeprom_update_word((uint16_t *)(at + count), sum);
	eeprom_busy_wait();
}

/* Make a block unreadable by one write. */
void store_spoil(uint16_t at, uint8_t count)
{
	uint8_t *sum = (uint8_t *)(at + count);

	eeprom_write_byte(sum, ~eeprom_read_byte(sum));
	eeprom_busy_wait();
}
