/*
 * What stock GRBL 1.1 does to the ATmega328P's timers, UART, EEPROM and pin-change interrupts, and nothing else of it:
 * for a test of the bench that is to run a GRBL build. Written anew.
 *
 * Lines: G<steps> moves, E<letter> writes and reads 80 bytes of EEPROM, anything else is only acknowledged. `?` tells count and state.
 * As in GRBL a step is counted in one interrupt and pulsed in the next; the pulse ends by timer 0, started from a preset count;
 * timer 1 has a top of 0 until the first step; the main program never sleeps.
 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <stdbool.h>
#include <stdlib.h>

enum { STEP = 1 << PD2, DIRECTION = 1 << PD5, PULSE_US = 10, RX_SIZE = 128, TX_SIZE = 104, LINE_SIZE = 80 };

static volatile uint8_t rx[RX_SIZE], rx_head, rx_tail, tx[TX_SIZE], tx_head, tx_tail;
static volatile bool asked, alarmed, busy, done;
static volatile int32_t count;
static volatile uint32_t left;
static uint8_t step_bits, direction_bits;

static uint8_t next(uint8_t at, uint8_t size)
{
	return at + 1 == size ? 0 : at + 1;
}

static void put(char byte)
{
	uint8_t head = next(tx_head, TX_SIZE);

	while (head == tx_tail)
		;
	tx[tx_head] = (uint8_t)byte;
	tx_head = head;
	UCSR0B |= 1 << UDRIE0;
}

static void say(const char *text)
{
	while (*text)
		put(*text++);
}

ISR(USART_UDRE_vect)
{
	UDR0 = tx[tx_tail];
	tx_tail = next(tx_tail, TX_SIZE);
	if (tx_tail == tx_head)
		UCSR0B &= (uint8_t)~(1 << UDRIE0);
}

ISR(USART_RX_vect)
{
	uint8_t byte = UDR0, head = next(rx_head, RX_SIZE);

	if (byte == '?') {
		asked = true;
	} else if (head != rx_tail) {
		rx[rx_head] = byte;
		rx_head = head;
	}
}

ISR(TIMER0_OVF_vect)
{
	PORTD &= (uint8_t)~STEP;
	TCCR0B = 0;
}

ISR(TIMER1_COMPA_vect)
{
	if (busy)
		return;
	PORTD = (PORTD & (uint8_t)~DIRECTION) | direction_bits;
	PORTD = (PORTD & (uint8_t)~STEP) | step_bits;
	TCNT0 = (uint8_t)-(((PULSE_US - 2) * 16) >> 3);
	TCCR0B = 1 << CS01;
	busy = true;
	sei();
	step_bits = 0;
	if (left) {
		left--;
		step_bits = STEP;
		count += direction_bits ? -1 : 1;
		OCR1A = 1000 + (left & 0x3ff);
	} else {
		TIMSK1 &= (uint8_t)~(1 << OCIE1A);
		done = true;
	}
	busy = false;
}

ISR(PCINT0_vect)
{
	TIMSK1 &= (uint8_t)~(1 << OCIE1A);
	alarmed = true;
}

static uint8_t read_eeprom(uint16_t at)
{
	while (EECR & 1 << EEPE)
		;
	EEAR = at;
	EECR = 1 << EERE;
	return EEDR;
}

static void write_eeprom(uint16_t at, uint8_t byte)
{
	uint8_t differs, mode = 0;

	cli();
	differs = read_eeprom(at) ^ byte;
	if (!(differs & byte))
		mode = 1 << EEPM1; /* write alone */
	else if (byte == 0xff)
		mode = 1 << EEPM0; /* erase alone: the data register keeps what was read */
	if (mode != 1 << EEPM0)
		EEDR = byte;
	if (differs) {
		EECR = 1 << EEMPE | mode;
		EECR |= 1 << EEPE;
	}
	sei();
}

static const char *obey(const char *line)
{
	bool bad = false;

	if (line[0] == 'G') {
		long steps = atol(line + 1);

		direction_bits = steps < 0 ? DIRECTION : 0;
		left = (uint32_t)labs(steps);
		done = false;
		PORTB &= (uint8_t)~(1 << PB0);
		TIMSK1 |= 1 << OCIE1A;
	} else if (line[0] == 'E') {
		for (uint8_t i = 0; i < 80; i++)
			write_eeprom(i, (uint8_t)(line[1] + i));
		for (uint8_t i = 0; i < 80; i++)
			bad |= read_eeprom(i) != (uint8_t)(line[1] + i);
	}
	return bad ? "error:7\r\n" : "ok\r\n";
}

int main(void)
{
	char line[LINE_SIZE];
	uint8_t filled = 0;

	UCSR0A |= 1 << U2X0;
	UBRR0 = (F_CPU / (4L * 115200) - 1) / 2;
	UCSR0B |= 1 << RXEN0 | 1 << TXEN0 | 1 << RXCIE0;
	DDRD |= STEP | DIRECTION;
	DDRB |= 1 << PB0;
	PORTB |= 1 << PB1;
	TCCR1B |= 1 << WGM12 | 1 << CS10;
	TIMSK0 |= 1 << TOIE0;
	PCMSK0 |= 1 << PCINT1;
	PCICR |= 1 << PCIE0;
	sei();
	say("\r\nGrbl idioms\r\n");
	for (;;) {
		if (asked) {
			char number[12];

			asked = false;
			put('<');
			say(ltoa(count, number, 10));
			say(alarmed ? "|Alarm>\r\n" : done ? "|Idle>\r\n" : "|Run>\r\n");
		}
		while (rx_tail != rx_head) {
			char byte = (char)rx[rx_tail];

			rx_tail = next(rx_tail, RX_SIZE);
			if (byte == '\n') {
				line[filled] = 0;
				filled = 0;
				say(obey(line));
			} else if (filled < LINE_SIZE - 1) {
				line[filled++] = byte;
			}
		}
	}
}
