/* The firmware's pins: steps into carriage positions, shutter and driver into events, the limit switch back into an input. */
#define _GNU_SOURCE
#include <time.h>

#include "avr_ioport.h"
#include "bench.h"

static const struct pin PULLED_UP[] = {{'B', 1}, {'B', 2}, {'B', 3}, {'B', 4}, {'C', 0}, {'C', 1}, {'C', 2}, {'C', 5}};

static avr_irq_t *irq_of(bench_t *b, struct pin pin)
{
	return avr_io_getirq(b->avr, AVR_IOCTL_IOPORT_GETIRQ(pin.port), pin.bit);
}

/* simavr puts a pulled-up input back to its pull-up at every write to the port, unless it knows of an outer level. */
static void drive(bench_t *b, struct pin pin, bool high)
{
	uint8_t *levels = &b->levels[pin.port - 'B'], *mask = &b->driven[pin.port - 'B'];
	avr_ioport_external_t outer = {.name = (unsigned long)pin.port};

	*mask |= (uint8_t)(1u << pin.bit);
	*levels = (uint8_t)((*levels & ~(1u << pin.bit)) | (unsigned)high << pin.bit);
	outer.mask = *mask;
	outer.value = *levels;
	avr_ioctl(b->avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(pin.port), &outer);
	avr_raise_irq(irq_of(b, pin), high);
}

void drive_limit(bench_t *b)
{
	bool low = carriage_pressed(&b->carriage) == b->limit_active_low;

	if (low == b->limit_low)
		return;
	b->limit_low = low;
	drive(b, b->pins.limit, !low);
}

double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void log_event(bench_t *b, const char *pin, bool level)
{
	if (b->event_count == EVENTS)
		return;
	b->events[b->event_count++] =
		(struct event){now(b), pin, level, b->carriage.steps, b->carriage.carriage_um, wall()};
}

void on_struck(void *param)
{
	log_event(param, "fault", true);
}

static void on_step(struct avr_irq_t *irq, uint32_t value, void *param)
{
	bench_t *b = param;
	carriage_t *c = &b->carriage;

	(void)irq;
	if (!value) {
		if (c->last_rise && now(b) - c->last_rise < c->min_high)
			c->min_high = now(b) - c->last_rise;
		c->last_rise = 0;
		return;
	}
	c->last_rise = now(b);
	carriage_step(c, !b->direction, b->enabled, now(b));
	drive_limit(b);
}

static void on_direction(struct avr_irq_t *irq, uint32_t value, void *param)
{
	bench_t *b = param;

	(void)irq;
	if (b->direction != (value != 0))
		b->carriage.last_direction = now(b);
	b->direction = value != 0;
}

static void on_enable(struct avr_irq_t *irq, uint32_t value, void *param)
{
	bench_t *b = param;
	bool enabled = (value == 0) == b->enable_active_low;

	(void)irq;
	if (enabled != b->enabled)
		log_event(b, "enable", enabled);
	b->enabled = enabled;
}

static void on_release(struct avr_irq_t *irq, uint32_t value, void *param)
{
	bench_t *b = param;

	(void)irq;
	if (b->release != (value != 0))
		log_event(b, "release", value != 0);
	b->release = value != 0;
}

static void on_half_press(struct avr_irq_t *irq, uint32_t value, void *param)
{
	bench_t *b = param;

	(void)irq;
	if (b->half_press != (value != 0))
		log_event(b, "half_press", value != 0);
	b->half_press = value != 0;
}

static void pull_up(bench_t *b)
{
	/* A reset cleared the input registers, and a level that stays the same would not set them again. */
	for (size_t i = 0; i < sizeof PULLED_UP / sizeof *PULLED_UP; i++) {
		drive(b, PULLED_UP[i], false);
		drive(b, PULLED_UP[i], true);
	}
	b->limit_low = false;
	drive_limit(b);
}

void hook_pins(bench_t *b)
{
	avr_irq_register_notify(irq_of(b, b->pins.step), on_step, b);
	avr_irq_register_notify(irq_of(b, b->pins.direction), on_direction, b);
	avr_irq_register_notify(irq_of(b, b->pins.enable), on_enable, b);
	avr_irq_register_notify(irq_of(b, b->pins.release), on_release, b);
	avr_irq_register_notify(irq_of(b, b->pins.half_press), on_half_press, b);
}

/* The pins float: the shield's pull-up switches the driver off, pull-downs let go of the shutter. */
void float_pins(bench_t *b)
{
	avr_raise_irq(irq_of(b, b->pins.enable), b->enable_active_low);
	avr_raise_irq(irq_of(b, b->pins.release), 0);
	avr_raise_irq(irq_of(b, b->pins.half_press), 0);
	avr_raise_irq(irq_of(b, b->pins.step), 0);
	pull_up(b);
}
