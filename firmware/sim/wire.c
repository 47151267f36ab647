#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "avr_uart.h"
#include "sim_time.h"

/* What becomes of a byte on the way: false where it is lost. */
static bool passes(wire_t *w, struct trouble *t, uint64_t count, uint8_t *byte)
{
	if (!t->drop && !t->flip)
		return true;
	if (t->after) {
		t->after--;
		return true;
	}
	if (w->struck)
		w->struck(w->struck_param);
	if (t->drop) {
		t->drop--;
		return false;
	}
	t->flip--;
	*byte ^= (uint8_t)(1u << (count % 7));
	return true;
}

/* One byte time after the last byte the next one has arrived. */
static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *param)
{
	wire_t *w = param;
	uint8_t byte;

	(void)avr;
	if (w->head == w->tail) {
		w->feeding = false;
		return 0;
	}
	byte = w->queue[w->tail];
	w->tail = (w->tail + 1) % WIRE_QUEUE;
	w->taken++;
	if (passes(w, &w->in, w->taken, &byte))
		avr_raise_irq(w->input, byte);
	return when + w->byte_cycles;
}

static void start_feeding(wire_t *w)
{
	if (w->feeding || w->head == w->tail)
		return;
	w->feeding = true;
	avr_cycle_timer_register(w->avr, w->byte_cycles, feed, w);
}

void wire_put(wire_t *w, const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned next = (w->head + 1) % WIRE_QUEUE;

		if (next == w->tail)
			break;
		w->queue[w->head] = bytes[i];
		w->head = next;
	}
	start_feeding(w);
}

static void said(struct avr_irq_t *irq, uint32_t value, void *param)
{
	wire_t *w = param;
	uint8_t byte = (uint8_t)value;

	(void)irq;
	w->given++;
	if (w->master < 0)
		return;
	if (!passes(w, &w->out, w->given, &byte))
		return;
	if (write(w->master, &byte, 1) == 1)
		w->written++;
	else if (errno != EAGAIN)
		fprintf(stderr, "avr_bench: the pty: %s\n", strerror(errno));
}

bool wire_plug(wire_t *w)
{
	struct termios raw;
	const char *name;

	if (w->master >= 0)
		return true;
	w->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (w->master < 0 || grantpt(w->master) || unlockpt(w->master) || !(name = ptsname(w->master)))
		return false;
	/* Held open here, too: a host that closes its end must not hang up the line. */
	w->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (w->slave < 0 || tcgetattr(w->slave, &raw))
		return false;
	cfmakeraw(&raw);
	if (tcsetattr(w->slave, TCSANOW, &raw))
		return false;
	(void)unlink(w->link);
	return symlink(name, w->link) == 0;
}

void wire_unplug(wire_t *w)
{
	if (w->master < 0)
		return;
	(void)unlink(w->link);
	close(w->slave);
	close(w->master);
	w->master = w->slave = -1;
	w->head = w->tail = 0;
}

void wire_poll(wire_t *w)
{
	uint8_t bytes[512];
	ssize_t count;

	if (w->master < 0)
		return;
	count = read(w->master, bytes, sizeof bytes);
	if (count > 0) {
		w->read += (uint64_t)count;
		wire_put(w, bytes, (unsigned)count);
	}
}

/* A pseudo-terminal hands on what was written in its own time: wait for bytes that the host says it has sent. */
void wire_await(wire_t *w, uint64_t read)
{
	for (int i = 0; i < 2000 && w->master >= 0 && w->read < read; i++) {
		struct pollfd ready = {w->master, POLLIN, 0};

		(void)poll(&ready, 1, 1);
		wire_poll(w);
	}
}

/* A reset forgets all of the simulator's timers, and what is half received. */
void wire_after_reset(wire_t *w)
{
	w->feeding = false;
	w->head = w->tail = 0;
}

bool wire_start(wire_t *w, avr_t *avr, const char *link, unsigned baud)
{
	uint32_t flags = 0;

	w->avr = avr;
	w->master = w->slave = -1;
	/* simavr's UART takes 11 bit times from one read to the next byte, and loses all that waits if that is too slow. */
	w->byte_cycles = (unsigned)(12ull * avr->frequency / baud);
	snprintf(w->link, sizeof w->link, "%s", link);
	avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
	flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POOL_SLEEP);
	avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
	w->input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
	avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), said, w);
	return wire_plug(w);
}
