/* The serial line: a receive ring of 128 bytes, a transmit ring, and real-time bytes picked out as they arrive. */
#ifndef SERIAL_H
#define SERIAL_H

#include <stdbool.h>
#include <stdint.h>

enum { SERIAL_RX_BYTES = 128, SERIAL_TX_BYTES = 128 };

/* Stands in the ring for bytes that were lost: the line that has it is damaged. */
#define SERIAL_LOST 0x1f

void serial_start(void);
bool serial_read(uint8_t *byte);
bool serial_has_input(void);
uint8_t serial_room(void);
void serial_forget_input(void);
void serial_write(uint8_t byte);

#endif
