#include "serial.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "board.h"
#include "request.h"
#include "watchdog.h"

static volatile uint8_t rx[SERIAL_RX_BYTES], rx_head, rx_tail;
static volatile uint8_t tx[SERIAL_TX_BYTES], tx_head, tx_tail;
static bool losing;

void serial_start(void)
{
	UCSR0A = _BV(U2X0); /* before the divider */
	UBRR0 = (uint16_t)((F_CPU + 4 * BAUD_RATE) / (8 * BAUD_RATE) - 1);
	UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
	UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

/* The last free place is for the mark of a loss. */
static void keep(uint8_t byte)
{
	uint8_t free = (uint8_t)(rx_tail - rx_head - 1) % SERIAL_RX_BYTES;

	if (free == 0 || (free == 1 && losing))
		return;
	losing = free == 1;
	rx[rx_head] = losing ? SERIAL_LOST : byte;
	rx_head = (rx_head + 1) % SERIAL_RX_BYTES;
}

ISR(USART_RX_vect)
{
	uint8_t faults = UCSR0A & (_BV(FE0) | _BV(DOR0));
	uint8_t byte = UDR0;

	if (faults)
		keep(SERIAL_LOST);
	if (faults & _BV(FE0))
		return;
	switch (byte) {
	case '?': request_make(ASKED_STATUS); break;
	case '!': request_make(ASKED_HOLD); break;
	case '~': request_make(ASKED_RESUME); break;
	case 0x18: request_make(ASKED_RESET); break;
	case 0x84: request_make(ASKED_HOLD); break; /* there is no door to open */
	case 0x85: request_make(ASKED_JOG_CANCEL); break;
	default:
		if (byte < 0x80)
			keep(byte);
	}
}

bool serial_read(uint8_t *byte)
{
	uint8_t tail = rx_tail;

	if (tail == rx_head)
		return false;
	*byte = rx[tail];
	rx_tail = (tail + 1) % SERIAL_RX_BYTES;
	return true;
}

bool serial_has_input(void)
{
	return rx_tail != rx_head;
}

uint8_t serial_room(void)
{
	return SERIAL_RX_BYTES - 1 - (uint8_t)(rx_head - rx_tail) % SERIAL_RX_BYTES;
}

void serial_forget_input(void)
{
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		rx_tail = rx_head;
		losing = false;
	}
}

ISR(USART_UDRE_vect)
{
	uint8_t tail = tx_tail;

	UDR0 = tx[tail];
	tail = (tail + 1) % SERIAL_TX_BYTES;
	tx_tail = tail;
	if (tail == tx_head)
		UCSR0B &= ~_BV(UDRIE0);
}

void serial_write(uint8_t byte)
{
	uint8_t next = (tx_head + 1) % SERIAL_TX_BYTES;

	while (next == tx_tail)
		watchdog_sleep();
	tx[tx_head] = byte;
	ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
	{
		tx_head = next;
		UCSR0B |= _BV(UDRIE0);
	}
}
