/* The machine's state: what it is doing, what was asked for, what it knows. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"
#include "length.h"

enum machine_state {
	STATE_IDLE,
	STATE_RUN,
	STATE_HOLD,
	STATE_JOG,
	STATE_HOMING,
	STATE_ALARM,
	STATE_CHECK,
	STATE_SLEEP,
};

extern enum machine_state machine_state;
extern bool machine_position_known; /* the count says where the carriage is */
extern bool machine_homed;          /* from the switch */

bool machine_aborted(void);

void machine_start(void);
void machine_begin_session(void);
void machine_service(void);
void machine_alarm(enum alarm_code code);
void machine_lose_position(void);
bool machine_wait_ms(uint16_t milliseconds);
bool machine_wait_rest(void);
bool machine_go(int32_t target, float rate, bool jog);
float machine_rate(int32_t thousandths_mm_min);
void machine_plan_and_move(int32_t target, float rate);
bool machine_rate_fits(void);
bool machine_within_limits(int32_t target);
bool machine_hold_complete(void);
void machine_forget_motion(void);
uint8_t machine_queue_room(void);

#endif
