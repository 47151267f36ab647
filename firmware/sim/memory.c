#include "memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "avr_eeprom.h"
#include "sim_io.h"

enum { EECR = 0x3f, EEDR = 0x40, EEARL = 0x41, EEARH = 0x42 };
enum { EEPE = 1 << 1, EEMPE = 1 << 2, ERASE_ALONE = 1 << 4, WRITE_ALONE = 1 << 5 };

static uint8_t before; /* what stood at the address when the write was armed */
static bool armed;

/* simavr's own is called before this, and has stored the data register by then. GRBL writes 0xff by erasing alone. */
static void on_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
	const uint8_t *data = avr->data;
	uint8_t byte = 0xff;
	avr_eeprom_desc_t at = {&before, (uint16_t)(data[EEARL] | (data[EEARH] & 3) << 8), 1};

	(void)address;
	(void)param;
	if (value & EEMPE && !(value & EEPE)) {
		armed = true;
		avr_ioctl(avr, AVR_IOCTL_EEPROM_GET, &at);
	} else if (value & EEPE && armed) {
		armed = false;
		if (value & WRITE_ALONE)
			byte = before & data[EEDR];
		else if (!(value & ERASE_ALONE))
			return;
		at.ee = &byte;
		avr_ioctl(avr, AVR_IOCTL_EEPROM_SET, &at);
	}
}

void memory_hook(avr_t *avr)
{
	avr_register_io_write(avr, EECR, on_control, NULL);
}
