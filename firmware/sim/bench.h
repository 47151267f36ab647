/* The bench's state, and what its parts do with it. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carriage.h"
#include "pins.h"
#include "sim_avr.h"
#include "wire.h"

enum { MCU_HZ = 16000000, SLICE = 16000, EVENTS = 4096, LINE = 1024, EEPROM_BYTES = 1024 };

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

static inline uint64_t now(const bench_t *b)
{
	return b->resets + b->avr->cycle;
}

static inline double seconds(uint64_t cycles)
{
	return (double)cycles / MCU_HZ;
}

double wall(void);

/* bench_pins.c */
void hook_pins(bench_t *b);
void float_pins(bench_t *b);
void drive_limit(bench_t *b);
void log_event(bench_t *b, const char *pin, bool level);
void on_struck(void *bench);

/* bench_reset.c */
void hook_resets(bench_t *b);
void reset(bench_t *b, bool power, bool watchdog);
void hang(bench_t *b);

/* bench_control.c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void read_control(bench_t *b);
void obey_due(bench_t *b);

#endif
