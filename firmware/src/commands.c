#include "commands.h"

#include <avr/pgmspace.h>
#include <string.h>

#include "gcode.h"
#include "homing.h"
#include "machine.h"
#include "park.h"
#include "print.h"
#include "report.h"
#include "request.h"
#include "settings.h"
#include "shutter.h"
#include "stepper.h"
#include "store.h"

static bool at_rest(void)
{
	return machine_state == STATE_IDLE || machine_state == STATE_ALARM;
}

static enum error_code check_mode(void)
{
	if (machine_state == STATE_CHECK) {
		print("[MSG:Disabled]\r\n");
		request_make(ASKED_RESET);
		return ERROR_NONE;
	}
	if (machine_state != STATE_IDLE)
		return ERROR_NOT_IDLE;
	machine_state = STATE_CHECK;
	print("[MSG:Enabled]\r\n");
	return ERROR_NONE;
}

static enum error_code unlock(void)
{
	if (machine_state == STATE_ALARM) {
		machine_state = STATE_IDLE;
		print("[MSG:Caution: Unlocked]\r\n");
	}
	return ERROR_NONE;
}

static enum error_code sleep(void)
{
	if (!at_rest())
		return ERROR_NOT_IDLE;
	shutter_off();
	stepper_enable(false);
	machine_lose_position();
	machine_state = STATE_SLEEP;
	print("[MSG:Sleeping]\r\n");
	return ERROR_NONE;
}

static enum error_code restore(const char *what)
{
	static const length_t nothing[AXES];

	if (!at_rest())
		return ERROR_NOT_IDLE;
	if ((*what != '$' && *what != '#' && *what != '*') || what[1])
		return ERROR_BAD_STATEMENT;
	if (*what != '#') {
		settings_defaults();
		settings_save();
		stepper_apply_settings();
	}
	if (*what != '$')
		for (uint8_t place = 0; place < STORED_PLACES; place++)
			store_write(STORE_SYSTEMS + place * STORE_SYSTEM_BYTES, nothing, sizeof nothing);
	park_void();
	print("[MSG:Restoring defaults]\r\n");
	request_make(ASKED_RESET);
	return ERROR_NONE;
}

static enum error_code change(const char *line)
{
	number_t number, value;
	enum error_code error;
	int32_t per_mm = setting(SETTING_STEPS_PER_MM);

	if (!number_read(&line, &number))
		return ERROR_BAD_STATEMENT;
	if (*line++ != '=')
		return ERROR_BAD_STATEMENT;
	if (!number_read(&line, &value) || *line)
		return ERROR_BAD_NUMBER;
	if (!at_rest())
		return ERROR_NOT_IDLE;
	if (number.negative || number.whole > 999 || number.fraction)
		return ERROR_BAD_STATEMENT;
	error = settings_change((uint16_t)number.whole, value.negative && (value.whole || value.fraction), value.whole,
				value.fraction);
	if (error)
		return error;
	park_void();
	if (setting(SETTING_STEPS_PER_MM) != per_mm)
		gcode_follow_position();
	stepper_apply_settings();
	stepper_enable(true);
	if (!shutter_pressed())
		shutter_off();
	report_offset_changed();
	return ERROR_NONE;
}

static bool is(const char *line, const char *flash)
{
	return strcmp_P(line, flash) == 0;
}

enum error_code commands_run(const char *line)
{
	if (*line == 0)
		report_help();
	else if (is(line, PSTR("$")))
		report_settings();
	else if (is(line, PSTR("#")))
		report_places();
	else if (is(line, PSTR("G")))
		report_modes();
	else if (is(line, PSTR("I")))
		report_build();
	else if (is(line, PSTR("N")))
		print("$N0=\r\n$N1=\r\n");
	else if (is(line, PSTR("C")))
		return check_mode();
	else if (is(line, PSTR("X")))
		return at_rest() ? unlock() : ERROR_NOT_IDLE;
	else if (is(line, PSTR("H")))
		return !setting(SETTING_HOMING) ? ERROR_HOMING_OFF : at_rest() ? homing_run() : ERROR_NOT_IDLE;
	else if (is(line, PSTR("SLP")))
		return sleep();
	else if (is(line, PSTR("PARK")))
		return machine_state == STATE_IDLE ? park_run() : ERROR_NOT_IDLE;
	else if (strncmp_P(line, PSTR("J="), 2) == 0)
		return machine_state == STATE_IDLE || machine_state == STATE_JOG ? gcode_run(line + 2, true) : ERROR_NOT_IDLE;
	else if (strncmp_P(line, PSTR("RST="), 4) == 0)
		return restore(line + 4);
	else if (strncmp_P(line, PSTR("N0="), 3) == 0 || strncmp_P(line, PSTR("N1="), 3) == 0)
		return line[3] ? ERROR_STARTUP_LINE : ERROR_NONE;
	else
		return change(line);
	return ERROR_NONE;
}
