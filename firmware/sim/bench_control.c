/* Control: one JSON object a line in, one out; and the faults it makes, at once or at a step to come. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "avr_eeprom.h"
#include "bench.h"

void say(const char *format, ...)
{
	va_list rest;

	va_start(rest, format);
	vprintf(format, rest);
	va_end(rest);
	putchar('\n');
	fflush(stdout);
}

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

void obey_due(bench_t *b)
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

void read_control(bench_t *b)
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
