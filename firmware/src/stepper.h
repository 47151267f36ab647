/* The motor: steps, direction and enable, from interrupts; the one place that counts where the motor is. */
#ifndef STEPPER_H
#define STEPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "ramp.h"

void stepper_start(void);
void stepper_apply_settings(void);
void stepper_enable(bool on);
int32_t stepper_position(void);
void stepper_set_position(int32_t position);
bool stepper_phase(uint16_t *phase);
void stepper_phase_begins(bool cold);
float stepper_speed(void);

void stepper_move(const ramp_plan_t *plan, bool positive);
void stepper_slow_down(void);
void stepper_halt(void);
bool stepper_moving(void);

void stepper_begin_tick(uint16_t tick);
void stepper_prepare_tick(void);

#endif
