/* The mechanics behind the step pins: what a motor, a screw and an end switch make of pulses. */
#ifndef CARRIAGE_H
#define CARRIAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stuck { STUCK_NOT, STUCK_PRESSED, STUCK_OPEN };

typedef struct {
	/* what it is made of */
	double um_per_step;
	double backlash_um;
	double low_stop_um, high_stop_um; /* the carriage cannot pass these */
	double switch_um;                 /* where the switch closes */
	bool has_switch, switch_at_high;
	bool invert; /* the controller's positive direction lowers the carriage */

	/* where it is */
	int64_t steps; /* pulses counted, signed by the direction pin: what the firmware commanded */
	int64_t rotor; /* where the motor really is */
	double carriage_um;
	int64_t pulses;      /* all pulses, whatever their direction */
	int64_t lost;        /* pulses that did not turn the motor */
	int64_t disabled;    /* of these: because the driver was switched off */

	/* faults */
	bool jammed;
	int64_t to_lose;
	enum stuck stuck;

	/* times of pulses, MCU cycles */
	uint64_t last_step, min_interval, min_high, last_rise, last_direction, min_setup;

	/* record of pulses, while `recording` */
	bool recording;
	struct pulse {
		uint64_t cycle;
		int64_t steps;
	} *record;
	size_t recorded, capacity;
} carriage_t;

void carriage_start(carriage_t *c, double start_um);
void carriage_step(carriage_t *c, bool positive, bool enabled, uint64_t cycle);
void carriage_push(carriage_t *c, double um);
bool carriage_pressed(const carriage_t *c);
void carriage_clear_times(carriage_t *c);

#endif
