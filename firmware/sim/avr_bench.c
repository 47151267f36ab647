/*
 * A bench for rail firmware: runs any ATmega328P ELF with its UART on a pseudo-terminal, turns its step pulses into a
 * true carriage position, logs its shutter pins in MCU time, and makes faults.
 *
 *   avr_bench --elf focusrail.elf --pty /tmp/rail [options]
 *
 * Control: one JSON object a line on stdin, one JSON object a line on stdout as the answer. The first line on stdout,
 * {"event":"ready",...}, says that the port is there. Ends with stdin. See README.md for the commands.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "avr_eeprom.h"
#include "avr_extint.h"
#include "avr_ioport.h"
#include "avr_watchdog.h"
#include "carriage.h"
#include "pins.h"
#include "sim_avr.h"
#include "sim_elf.h"
#include "wire.h"

enum { MCU_HZ = 16000000, SLICE = 16000, EVENTS = 4096, LINE = 1024, EEPROM_BYTES = 1024 };

static const struct pin PULLED_UP[] = {{'B', 1}, {'B', 2}, {'B', 3}, {'B', 4}, {'C', 0}, {'C', 1}, {'C', 2}, {'C', 5}};

struct event {
	uint64_t cycle;
	const char *pin;
	bool level;
	int64_t steps;
	double carriage_um;
	double wall_s; /* CLOCK_MONOTONIC, so that a host can say how soon it noticed */
};

/* A fault that waits for its moment. */
struct pending {
	char line[LINE];
	int64_t at_pulses;
};

typedef struct {
	avr_t *avr;
	carriage_t carriage;
	wire_t wire;
	struct pins pins;
	bool direction, enabled, release, half_press, limit_low;
	bool enable_active_low, limit_active_low;
	uint8_t levels[2], driven[2]; /* outer levels of ports B and C */
	struct event events[EVENTS];
	unsigned event_count;
	struct pending pending[16];
	unsigned pending_count;
	uint64_t resets; /* cycles before the last reset: simavr starts again at 0 */
	unsigned boots, bites; /* bites: resets by the watchdog */
	uint64_t slept;	       /* cycles asleep */
	bool resetting, bitten;
	void (*reset_of_kind)(avr_t *avr); /* simavr's own */
	uint32_t hung_at;
	uint8_t hung[2]; /* the instruction that was there; valid while `hangs` */
	bool hangs;
	double speed;	     /* times real time; 0: as fast as it goes; below 0: only while control lets time pass */
	uint64_t pass_until; /* control waits till then; 0: it does not */
	char input[LINE];
	size_t filled;
	bool discard;
	bool over, powered;
	const char *eeprom_file;
} bench_t;

static bench_t *the_bench; /* simavr's hooks know their MCU only */

static uint64_t now(const bench_t *b)
{
	return b->resets + b->avr->cycle;
}

static double seconds(uint64_t cycles)
{
	return (double)cycles / MCU_HZ;
}

static void say(const char *format, ...)
{
	va_list rest;

	va_start(rest, format);
	vprintf(format, rest);
	va_end(rest);
	putchar('\n');
	fflush(stdout);
}

/* Pins --------------------------------------------------------------------------------------------------------- */

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

static void drive_limit(bench_t *b)
{
	bool low = carriage_pressed(&b->carriage) == b->limit_active_low;

	if (low == b->limit_low)
		return;
	b->limit_low = low;
	drive(b, b->pins.limit, !low);
}

static double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void log_event(bench_t *b, const char *pin, bool level)
{
	if (b->event_count == EVENTS)
		return;
	b->events[b->event_count++] =
		(struct event){now(b), pin, level, b->carriage.steps, b->carriage.carriage_um, wall()};
}

static void on_struck(void *param)
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

static void hook_pins(bench_t *b)
{
	avr_irq_register_notify(irq_of(b, b->pins.step), on_step, b);
	avr_irq_register_notify(irq_of(b, b->pins.direction), on_direction, b);
	avr_irq_register_notify(irq_of(b, b->pins.enable), on_enable, b);
	avr_irq_register_notify(irq_of(b, b->pins.release), on_release, b);
	avr_irq_register_notify(irq_of(b, b->pins.half_press), on_half_press, b);
}

/* Resets ------------------------------------------------------------------------------------------------------- */

/* simavr resets the MCU itself where its watchdog bites. */
static void on_reset(avr_t *avr)
{
	bench_t *b = the_bench;

	if (b->reset_of_kind)
		b->reset_of_kind(avr);
	if (!b->resetting)
		b->bitten = true;
}

/* An endless loop where the main program is; interrupts go on. */
static void hang(bench_t *b)
{
	if (b->hangs)
		return;
	b->hangs = true;
	b->hung_at = b->avr->pc;
	memcpy(b->hung, b->avr->flash + b->hung_at, sizeof b->hung);
	memcpy(b->avr->flash + b->hung_at, (uint8_t[]){0xff, 0xcf}, 2); /* rjmp .-2 */
}

static void end_hang(bench_t *b)
{
	if (b->hangs)
		memcpy(b->avr->flash + b->hung_at, b->hung, sizeof b->hung);
	b->hangs = false;
}

/* `power`: the supply was off, so the RAM holds noise; otherwise it keeps what it held. */
static void reset(bench_t *b, bool power, bool watchdog)
{
	avr_t *avr = b->avr;
	size_t first = avr->ioend + 1u, length = avr->ramend - avr->ioend;
	uint8_t *kept = malloc(length);

	if (!kept)
		exit(2);
	memcpy(kept, avr->data + first, length);
	b->resets += avr->cycle;
	end_hang(b);
	b->resetting = true;
	avr_reset(avr);
	b->resetting = false;
	avr->cycle = 0;
	avr->state = cpu_Running;
	if (power)
		for (size_t i = 0; i < length; i++)
			kept[i] = (uint8_t)(i * 167u + 13u);
	memcpy(avr->data + first, kept, length);
	free(kept);
	avr->data[0x54] = watchdog ? 8 : power ? 1 : 2; /* MCUSR: WDRF, PORF or EXTRF */
	/* The step pin is INT0, by default triggered by a low level: simavr would look at it in every cycle. */
	avr_extint_set_strict_lvl_trig(avr, 0, 0);
	avr_extint_set_strict_lvl_trig(avr, 1, 0);
	avr->run_cycle_limit = SLICE; /* between two looks for timers that are due */
	wire_after_reset(&b->wire);
	/* The pins float: the shield's pull-up switches the driver off, pull-downs let go of the shutter. */
	avr_raise_irq(irq_of(b, b->pins.enable), b->enable_active_low);
	avr_raise_irq(irq_of(b, b->pins.release), 0);
	avr_raise_irq(irq_of(b, b->pins.half_press), 0);
	avr_raise_irq(irq_of(b, b->pins.step), 0);
	pull_up(b);
	b->boots++;
	b->bites += watchdog;
}

/* Control ------------------------------------------------------------------------------------------------------ */

/* Text behind "key": in one flat JSON object; NULL where there is none. */
static const char *value_of(const char *line, const char *key)
{
	char quoted[48];
	const char *found;

	snprintf(quoted, sizeof quoted, "\"%s\"", key);
	found = strstr(line, quoted);
	if (!found)
		return NULL;
	found += strlen(quoted);
	found += strspn(found, " \t");
	if (*found != ':')
		return NULL;
	return found + 1 + strspn(found + 1, " \t");
}

static double number(const char *line, const char *key, double otherwise)
{
	const char *text = value_of(line, key);

	if (!text)
		return otherwise;
	if (!strncmp(text, "true", 4))
		return 1;
	return strtod(text, NULL);
}

static bool word_is(const char *line, const char *key, const char *word)
{
	const char *text = value_of(line, key);
	size_t length = strlen(word);

	return text && *text == '"' && !strncmp(text + 1, word, length) && text[length + 1] == '"';
}

static void say_truth(bench_t *b)
{
	const carriage_t *c = &b->carriage;
	uint64_t quiet = c->last_step ? now(b) - c->last_step : UINT64_MAX;

	say("{\"steps\":%lld,\"rotor\":%lld,\"carriage_um\":%.4f,\"pulses\":%lld,\"lost\":%lld,\"disabled_steps\":%lld,"
	    "\"switch\":%s,\"enabled\":%s,\"release\":%s,\"half_press\":%s,\"mcu_s\":%.6f,\"boots\":%u,\"bites\":%u,\"slept_s\":%.6f,"
	    "\"still_s\":%.6f,\"min_interval_us\":%.2f,\"min_high_us\":%.2f,\"min_setup_us\":%.2f,"
	    "\"bytes_in\":%llu,\"bytes_out\":%llu,\"read\":%llu,\"written\":%llu,\"queued\":%u,\"running\":%s}",
	    (long long)c->steps, (long long)c->rotor, c->carriage_um, (long long)c->pulses, (long long)c->lost,
	    (long long)c->disabled, carriage_pressed(c) ? "true" : "false", b->enabled ? "true" : "false",
	    b->release ? "true" : "false", b->half_press ? "true" : "false", seconds(now(b)), b->boots, b->bites,
	    seconds(b->slept),
	    quiet == UINT64_MAX ? -1.0 : seconds(quiet), c->min_interval == UINT64_MAX ? -1.0 : c->min_interval / 16.0,
	    c->min_high == UINT64_MAX ? -1.0 : c->min_high / 16.0,
	    c->min_setup == UINT64_MAX ? -1.0 : c->min_setup / 16.0, (unsigned long long)b->wire.taken,
	    (unsigned long long)b->wire.given, (unsigned long long)b->wire.read, (unsigned long long)b->wire.written,
	    (b->wire.head - b->wire.tail + WIRE_QUEUE) % WIRE_QUEUE,
	    b->avr->state == cpu_Running || b->avr->state == cpu_Sleeping ? "true" : "false");
}

static void say_events(bench_t *b)
{
	printf("{\"events\":[");
	for (unsigned i = 0; i < b->event_count; i++)
		printf("%s{\"t_us\":%.2f,\"pin\":\"%s\",\"level\":%d,\"steps\":%lld,\"carriage_um\":%.4f,\"wall_s\":%.4f}",
		       i ? "," : "", b->events[i].cycle / 16.0, b->events[i].pin, b->events[i].level,
		       (long long)b->events[i].steps, b->events[i].carriage_um, b->events[i].wall_s);
	say("]}");
	b->event_count = 0;
}

static void say_record(bench_t *b)
{
	carriage_t *c = &b->carriage;

	printf("{\"pulses\":[");
	for (size_t i = 0; i < c->recorded; i++)
		printf("%s[%.3f,%lld]", i ? "," : "", c->record[i].cycle / 16.0, (long long)c->record[i].steps);
	say("]}");
	c->recorded = 0;
}

static void eeprom_access(bench_t *b, const char *line)
{
	uint8_t byte = 0xff;
	avr_eeprom_desc_t at = {&byte, (uint16_t)number(line, "at", 0), 1};

	avr_ioctl(b->avr, AVR_IOCTL_EEPROM_GET, &at);
	if (value_of(line, "xor")) {
		at.ee = &byte;
		byte ^= (uint8_t)number(line, "xor", 0);
		avr_ioctl(b->avr, AVR_IOCTL_EEPROM_SET, &at);
	}
	say("{\"byte\":%u}", byte);
}

static void send_bytes(bench_t *b, const char *line)
{
	const char *text = value_of(line, "hex");
	unsigned byte;

	while (text && (*text == '"' || *text == ' '))
		text++;
	while (text && sscanf(text, "%2x", &byte) == 1) {
		wire_put(&b->wire, &(uint8_t){(uint8_t)byte}, 1);
		text += 2;
	}
}

static void ok(void)
{
	say("{\"ok\":true}");
}

static bool inject(bench_t *b, const char *line)
{
	carriage_t *c = &b->carriage;
	wire_t *w = &b->wire;
	struct trouble *trouble = number(line, "out", 0) != 0 ? &w->out : &w->in;

	if (word_is(line, "cmd", "reset"))
		reset(b, number(line, "power", 0) != 0, false);
	else if (word_is(line, "cmd", "unplug")) {
		wire_unplug(w);
		b->powered = number(line, "keep_power", 0) != 0; /* from another supply */
	} else if (word_is(line, "cmd", "plug")) {
		if (!b->powered || number(line, "reset", 0) != 0)
			reset(b, !b->powered, false);
		b->powered = true;
		if (!wire_plug(w))
			return false;
	} else if (word_is(line, "cmd", "drop")) {
		*trouble = (struct trouble){(unsigned)number(line, "after", 0), (unsigned)number(line, "bytes", 1), 0};
	} else if (word_is(line, "cmd", "flip")) {
		*trouble = (struct trouble){(unsigned)number(line, "after", 0), 0, (unsigned)number(line, "bytes", 1)};
	} else if (word_is(line, "cmd", "jam")) {
		c->jammed = number(line, "on", 1) != 0;
	} else if (word_is(line, "cmd", "lose")) {
		c->to_lose = (int64_t)number(line, "steps", 1);
	} else if (word_is(line, "cmd", "push")) {
		carriage_push(c, number(line, "um", 0));
	} else if (word_is(line, "cmd", "switch")) {
		c->stuck = word_is(line, "is", "pressed") ? STUCK_PRESSED : word_is(line, "is", "open") ? STUCK_OPEN : STUCK_NOT;
	} else if (word_is(line, "cmd", "hang")) {
		hang(b);
	} else if (word_is(line, "cmd", "send")) {
		send_bytes(b, line);
	} else {
		return false;
	}
	drive_limit(b);
	return true;
}

static void obey(bench_t *b, const char *line)
{
	double at = number(line, "at_pulses", -1);

	if (word_is(line, "cmd", "truth")) {
		say_truth(b);
	} else if (word_is(line, "cmd", "events")) {
		say_events(b);
	} else if (word_is(line, "cmd", "record")) {
		b->carriage.recording = number(line, "on", 1) != 0;
		b->carriage.recorded = b->carriage.recording ? 0 : b->carriage.recorded;
		ok();
	} else if (word_is(line, "cmd", "recorded")) {
		say_record(b);
	} else if (word_is(line, "cmd", "clear_times")) {
		carriage_clear_times(&b->carriage);
		ok();
	} else if (word_is(line, "cmd", "eeprom")) {
		eeprom_access(b, line);
	} else if (word_is(line, "cmd", "speed")) {
		b->speed = number(line, "times", 1);
		ok();
	} else if (word_is(line, "cmd", "forget")) {
		b->pending_count = 0;
		b->wire.in = b->wire.out = (struct trouble){0, 0, 0};
		ok();
	} else if (word_is(line, "cmd", "pass")) {
		wire_await(&b->wire, (uint64_t)number(line, "read", 0));
		b->pass_until = now(b) + (uint64_t)(number(line, "s", 0) * MCU_HZ);
	} else if (word_is(line, "cmd", "quit")) {
		b->over = true;
		ok();
	} else if (at >= 0) {
		if (b->pending_count == sizeof b->pending / sizeof *b->pending) {
			say("{\"error\":\"too many waiting faults\"}");
			return;
		}
		b->pending[b->pending_count].at_pulses = b->carriage.pulses + (int64_t)at;
		snprintf(b->pending[b->pending_count++].line, LINE, "%s", line);
		ok();
	} else if (inject(b, line)) {
		ok();
	} else {
		say("{\"error\":\"not understood\"}");
	}
}

static void obey_due(bench_t *b)
{
	for (unsigned i = 0; i < b->pending_count;) {
		struct pending due = b->pending[i];

		if (b->carriage.pulses < due.at_pulses) {
			i++;
			continue;
		}
		b->pending[i] = b->pending[--b->pending_count];
		if (!word_is(due.line, "cmd", "drop") && !word_is(due.line, "cmd", "flip")) /* these strike later */
			log_event(b, "fault", true);
		inject(b, due.line);
	}
}

static void read_control(bench_t *b)
{
	ssize_t count;
	char *end;

	if (b->pass_until)
		return;
	count = read(STDIN_FILENO, b->input + b->filled, sizeof b->input - 1 - b->filled);
	if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
		b->over = true;
		return;
	}
	if (count < 0)
		return;
	b->filled += (size_t)count;
	b->input[b->filled] = 0;
	while (!b->pass_until && (end = memchr(b->input, '\n', b->filled))) {
		*end = 0;
		if (b->discard)
			b->discard = false;
		else if (end != b->input)
			obey(b, b->input);
		b->filled -= (size_t)(end + 1 - b->input);
		memmove(b->input, end + 1, b->filled);
	}
	if (b->filled == sizeof b->input - 1) {
		say("{\"error\":\"line too long\"}");
		b->discard = true;
		b->filled = 0;
	}
}

/* Running ------------------------------------------------------------------------------------------------------ */

static void no_pause(avr_t *avr, avr_cycle_count_t how_long)
{
	(void)avr;
	the_bench->slept += how_long;
}

static void quiet_log(avr_t *avr, const int level, const char *format, va_list rest)
{
	(void)avr;
	if (level <= LOG_ERROR)
		vfprintf(stderr, format, rest);
}

/* Wait for the host, for control, or until the wall clock has caught up with the MCU's. */
static void wait_for(bench_t *b, double how_long)
{
	struct pollfd fds[2] = {{b->pass_until ? -1 : STDIN_FILENO, POLLIN, 0}, {b->wire.master, POLLIN, 0}};
	struct timespec limit = {(time_t)how_long, (long)((how_long - floor(how_long)) * 1e9)};

	if (ppoll(fds, 2, &limit, NULL) < 0)
		return;
	if (fds[0].revents)
		read_control(b);
}

static void run_slice(bench_t *b)
{
	avr_t *avr = b->avr;
	uint64_t until = now(b) + SLICE;

	if (b->pass_until && b->pass_until < until)
		until = b->pass_until;

	while (now(b) < until) {
		int state = avr_run(avr);

		if (b->bitten) {
			b->bitten = false;
			reset(b, false, true);
			continue;
		}
		if (state == cpu_Done || state == cpu_Crashed) {
			say("{\"event\":\"%s\",\"pc\":%u}", state == cpu_Done ? "stopped" : "crashed", avr->pc);
			b->powered = false;
			return;
		}
		if (b->pending_count)
			obey_due(b);
		if (!b->powered)
			return;
	}
}

/* Without power no MCU time goes by, so nobody waits for it. */
static void end_pass(bench_t *b)
{
	if (!b->pass_until || (b->powered && now(b) < b->pass_until))
		return;
	b->pass_until = 0;
	say("{\"ok\":true,\"written\":%llu}", (unsigned long long)b->wire.written);
}

static void run(bench_t *b)
{
	double start = wall();
	uint64_t mark = now(b);

	while (!b->over) {
		double ahead;

		wire_poll(&b->wire);
		if (!b->powered) {
			end_pass(b);
			wait_for(b, 0.02);
			start = wall();
			mark = now(b);
			continue;
		}
		if (b->speed < 0 && !b->pass_until) {
			wait_for(b, 0.02);
			continue;
		}
		run_slice(b);
		end_pass(b);
		ahead = b->speed > 0 ? seconds(now(b) - mark) / b->speed - (wall() - start) : 0;
		if (ahead < -0.05 || ahead > 1) { /* no catching up: a busy machine just runs the MCU slower */
			start = wall();
			mark = now(b);
			ahead = 0;
		}
		wait_for(b, ahead > 0 ? ahead : 0);
	}
}

static void load_eeprom(bench_t *b)
{
	uint8_t bytes[EEPROM_BYTES];
	avr_eeprom_desc_t all = {bytes, 0, EEPROM_BYTES};
	FILE *file = b->eeprom_file ? fopen(b->eeprom_file, "rb") : NULL;

	if (!file)
		return;
	if (fread(bytes, 1, sizeof bytes, file) == sizeof bytes)
		avr_ioctl(b->avr, AVR_IOCTL_EEPROM_SET, &all);
	fclose(file);
}

static void save_eeprom(bench_t *b)
{
	uint8_t bytes[EEPROM_BYTES];
	avr_eeprom_desc_t all = {bytes, 0, EEPROM_BYTES};
	FILE *file = b->eeprom_file ? fopen(b->eeprom_file, "wb") : NULL;

	if (!file)
		return;
	avr_ioctl(b->avr, AVR_IOCTL_EEPROM_GET, &all);
	fwrite(bytes, 1, sizeof bytes, file);
	fclose(file);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: avr_bench --elf FILE --pty LINK [--um-per-step UM] [--start-um UM] [--backlash-um UM]\n"
		"  [--low-stop-um UM] [--high-stop-um UM] [--switch-um UM [--switch-high]] [--invert]\n"
		"  [--limit-active-high] [--enable-active-high]\n"
		"  [--step D2] [--direction D5] [--enable D8] [--limit D9] [--release A3] [--half-press A4]\n"
		"  [--speed TIMES (0: as fast as it goes; below 0: only in \"pass\")] [--baud N] [--eeprom FILE]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static bench_t bench;
	static elf_firmware_t firmware;
	static const struct option options[] = {
		{"elf", 1, 0, 'e'},	      {"pty", 1, 0, 'p'},	     {"um-per-step", 1, 0, 'u'},
		{"start-um", 1, 0, 's'},      {"backlash-um", 1, 0, 'b'},    {"low-stop-um", 1, 0, 'l'},
		{"high-stop-um", 1, 0, 'h'},  {"switch-um", 1, 0, 'w'},	     {"switch-high", 0, 0, 'W'},
		{"invert", 0, 0, 'i'},	      {"limit-active-high", 0, 0, 'A'}, {"enable-active-high", 0, 0, 'E'},
		{"speed", 1, 0, 'x'},	      {"baud", 1, 0, 'B'},	     {"eeprom", 1, 0, 'f'},
		{"step", 1, 0, 1},	      {"direction", 1, 0, 2},	     {"enable", 1, 0, 3},
		{"limit", 1, 0, 4},	      {"release", 1, 0, 5},	     {"half-press", 1, 0, 6},
		{0, 0, 0, 0},
	};
	bench_t *b = &bench;
	carriage_t *c = &b->carriage;
	const char *elf = NULL, *pty = NULL;
	double start_um = 0;
	bool known = true;
	unsigned baud = 115200;
	int option;

	the_bench = b;
	b->pins = UNO_CNC_SHIELD;
	*c = (carriage_t){.um_per_step = 4.0, .low_stop_um = -1e9, .high_stop_um = 1e9};
	b->speed = 1;
	b->powered = b->limit_active_low = b->enable_active_low = true;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'e': elf = optarg; break;
		case 'p': pty = optarg; break;
		case 'u': c->um_per_step = atof(optarg); break;
		case 's': start_um = atof(optarg); break;
		case 'b': c->backlash_um = atof(optarg); break;
		case 'l': c->low_stop_um = atof(optarg); break;
		case 'h': c->high_stop_um = atof(optarg); break;
		case 'w': c->switch_um = atof(optarg); c->has_switch = true; break;
		case 'W': c->switch_at_high = true; break;
		case 'i': c->invert = true; break;
		case 'A': b->limit_active_low = false; break;
		case 'E': b->enable_active_low = false; break;
		case 'x': b->speed = atof(optarg); break;
		case 'B': baud = (unsigned)atoi(optarg); break;
		case 'f': b->eeprom_file = optarg; break;
		case 1: known &= pin_by_name(optarg, &b->pins.step); break;
		case 2: known &= pin_by_name(optarg, &b->pins.direction); break;
		case 3: known &= pin_by_name(optarg, &b->pins.enable); break;
		case 4: known &= pin_by_name(optarg, &b->pins.limit) && b->pins.limit.port != 'D'; break;
		case 5: known &= pin_by_name(optarg, &b->pins.release); break;
		case 6: known &= pin_by_name(optarg, &b->pins.half_press); break;
		default: usage();
		}
	}
	if (!known || !elf || !pty || c->um_per_step <= 0 || baud < 300)
		usage();
	avr_global_logger_set(quiet_log);
	if (elf_read_firmware(elf, &firmware)) {
		fprintf(stderr, "avr_bench: %s is no ELF file for an AVR\n", elf);
		return 2;
	}
	b->avr = avr_make_mcu_by_name("atmega328p");
	if (!b->avr)
		return 2;
	avr_init(b->avr);
	b->avr->log = LOG_ERROR;
	b->avr->frequency = MCU_HZ;
	b->avr->sleep = no_pause;
	firmware.frequency = MCU_HZ;
	avr_load_firmware(b->avr, &firmware);
	b->avr->sleep = no_pause;
	load_eeprom(b);
	/* The rotor's zero is where the carriage starts. */
	c->low_stop_um -= start_um;
	c->high_stop_um -= start_um;
	c->switch_um -= start_um;
	carriage_start(c, 0);
	hook_pins(b);
	if (!wire_start(&b->wire, b->avr, pty, baud)) {
		fprintf(stderr, "avr_bench: no pseudo-terminal at %s: %s\n", pty, strerror(errno));
		return 2;
	}
	b->reset_of_kind = b->avr->reset;
	b->avr->reset = on_reset;
	b->wire.struck = on_struck;
	b->wire.struck_param = b;
	reset(b, true, false);
	b->boots = 1;
	say("{\"event\":\"ready\",\"pty\":\"%s\"}", pty);
	(void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	run(b);
	wire_unplug(&b->wire);
	save_eeprom(b);
	return 0;
}
