#include "park.h"

#include <string.h>

#include "gcode.h"
#include "machine.h"
#include "print.h"
#include "settings.h"
#include "stepper.h"
#include "store.h"

/*
 * A driver that gets power stands at its home step, the same in every cycle of four full steps, and pulls the rotor to
 * the nearest such place. So the carriage is parked on one: counted from where the driver got its power.
 */
enum { FULL_STEPS_OF_A_CYCLE = 4 };

static struct record {
	int32_t position, steps_per_mm;
	length_t offset[AXES];
	uint8_t homed, system;
} record;

static bool parked;

enum error_code park_run(void)
{
	uint16_t phase, cycle = (uint16_t)(FULL_STEPS_OF_A_CYCLE * setting(SETTING_MICROSTEPS));
	int32_t back, target;

	if (!machine_position_known)
		return ERROR_POSITION_UNKNOWN;
	if (!machine_wait_rest())
		return ERROR_LOCKED;
	if (!stepper_phase(&phase))
		return ERROR_PHASE_UNKNOWN;
	back = phase % cycle;
	if (back > cycle / 2)
		back -= cycle;
	target = stepper_position() - back;
	if (!machine_within_limits(target))
		target += back > 0 ? cycle : -(int32_t)cycle;
	if (!machine_go(target, machine_rate(setting(SETTING_MAX_RATE)), false) || !machine_wait_rest())
		return ERROR_LOCKED;
	gcode_follow_position();
	memset(&record, 0, sizeof record);
	record.position = stepper_position();
	record.steps_per_mm = setting(SETTING_STEPS_PER_MM);
	memcpy(record.offset, gcode.offset, sizeof record.offset);
	record.homed = machine_homed;
	record.system = gcode.system;
	store_write(STORE_PARK, &record, sizeof record);
	parked = true;
	print("[MSG:Parked: switch off now]\r\n");
	return ERROR_NONE;
}

/* After a reset: the parked position, if nothing has moved since. */
bool park_restore(void)
{
	parked = store_read(STORE_PARK, &record, sizeof record) && record.steps_per_mm == setting(SETTING_STEPS_PER_MM) &&
		 record.system < SYSTEMS;
	if (!parked)
		return false;
	stepper_set_position(record.position);
	gcode.system = record.system;
	gcode_stored_place(gcode.system, gcode.system_offset);
	memcpy(gcode.offset, record.offset, sizeof record.offset);
	gcode_follow_position();
	machine_homed = record.homed;
	return true;
}

/* Before anything moves, or means something else: what was parked is no more. */
void park_void(void)
{
	if (!parked)
		return;
	parked = false;
	store_spoil(STORE_PARK, sizeof record);
}
