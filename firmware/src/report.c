#include "report.h"

#include "gcode.h"
#include "limits.h"
#include "machine.h"
#include "print.h"
#include "serial.h"
#include "settings.h"
#include "shutter.h"
#include "stepper.h"

enum { REPORT_MACHINE = 1, REPORT_BUFFERS = 2, OFFSET_EVERY_MOVING = 10, OVERRIDES_EVERY = 10 };

static uint8_t offset_in, overrides_in;

void report_answer(enum error_code error)
{
	if (error == ERROR_NONE) {
		print("ok\r\n");
		return;
	}
	print("error:");
	print_whole(error);
	print_line_end();
}

void report_alarm(enum alarm_code code)
{
	print("ALARM:");
	print_whole(code);
	print_line_end();
}

void report_banner(void)
{
	offset_in = 0;
	overrides_in = 1;
	print("\r\nGrbl 1.1h ['$' for help]\r\n");
}

void report_locked(void)
{
	print("[MSG:'$H'|'$X' to unlock]\r\n");
}

void report_position_unknown(void)
{
	print("[MSG:Position unknown: home, or set it by G92]\r\n");
}

void report_program_end(void)
{
	print("[MSG:Pgm End]\r\n");
}

void report_offset_changed(void)
{
	offset_in = 0;
}

static bool inches(void)
{
	return setting(SETTING_REPORT_INCHES);
}

static void print_report_length(int32_t value)
{
	print_fixed(value, inches() ? 4 : 3);
}

static void print_three(int32_t x, int32_t y, int32_t z)
{
	print_report_length(x);
	serial_write(',');
	print_report_length(y);
	serial_write(',');
	print_report_length(z);
}

static void print_lengths(const length_t values[AXES])
{
	print_three(length_report(values[0], inches()), length_report(values[1], inches()), length_report(values[2], inches()));
}

static void print_state(void)
{
	switch (machine_state) {
	case STATE_IDLE: print("<Idle"); break;
	case STATE_RUN: print("<Run"); break;
	case STATE_HOLD:
		print("<Hold:");
		serial_write(machine_hold_complete() ? '0' : '1');
		break;
	case STATE_JOG: print("<Jog"); break;
	case STATE_HOMING: print("<Home"); break;
	case STATE_ALARM: print("<Alarm"); break;
	case STATE_CHECK: print("<Check"); break;
	case STATE_SLEEP: print("<Sleep"); break;
	}
}

static void print_offset(const length_t total[AXES])
{
	print("|WCO:");
	print_lengths(total);
}

static void print_overrides(void)
{
	print("|Ov:100,100,100");
	if (shutter_pressed() || shutter_half_pressed()) {
		print("|A:");
		if (shutter_pressed())
			serial_write('F');
		if (shutter_half_pressed())
			serial_write('M');
	}
}

/* At rest every report has the offset, so that a host needs to ask only once. */
void report_status(void)
{
	bool moving = stepper_moving();
	int32_t x = length_report_steps(stepper_position(), inches());
	int32_t mask = setting(SETTING_REPORT_MASK);
	length_t total[AXES];

	for (uint8_t axis = 0; axis < AXES; axis++)
		total[axis] = gcode.system_offset[axis] + gcode.offset[axis];
	print_state();
	if (mask & REPORT_MACHINE) {
		print("|MPos:");
		print_three(x, 0, 0);
	} else {
		print("|WPos:");
		print_three(x - length_report(total[0], inches()), -length_report(total[1], inches()),
			    -length_report(total[2], inches()));
	}
	if (mask & REPORT_BUFFERS) {
		print("|Bf:");
		print_whole(machine_queue_room());
		serial_write(',');
		print_whole(serial_room());
	}
	print("|FS:");
	if (moving) {
		float mm_min = stepper_speed() * 6e7f / (float)setting(SETTING_STEPS_PER_MM);

		print_fixed((int32_t)(inches() ? mm_min / 2.54f : mm_min), inches() ? 1 : 0);
	} else if (inches()) {
		print("0.0");
	} else {
		serial_write('0');
	}
	print(",0");
	if (limits_pressed())
		print("|Pn:X");
	if (!moving || offset_in == 0) {
		offset_in = OFFSET_EVERY_MOVING;
		print_offset(total);
	} else {
		offset_in--;
	}
	if (overrides_in == 0) {
		overrides_in = OVERRIDES_EVERY;
		print_overrides();
	} else {
		overrides_in--;
	}
	print(">\r\n");
}

void report_settings(void)
{
	for (uint8_t i = 0; i < SETTING_COUNT; i++) {
		serial_write('$');
		print_whole(settings_number(i));
		serial_write('=');
		print_fixed(settings_now[i], settings_decimals(i));
		print_line_end();
	}
}

void report_places(void)
{
	length_t values[AXES];

	for (uint8_t place = 0; place < STORED_PLACES; place++) {
		print("[G");
		print_whole(place < SYSTEMS ? 54 + place : place == PLACE_G28 ? 28 : 30);
		serial_write(':');
		gcode_stored_place(place, values);
		print_lengths(values);
		print("]\r\n");
	}
	print("[G92:");
	print_lengths(gcode.offset);
	print("]\r\n[TLO:");
	print_report_length(0);
	print("]\r\n[PRB:");
	print_three(0, 0, 0);
	print(":0]\r\n");
}

void report_modes(void)
{
	print("[GC:G");
	print_whole(gcode.motion);
	print(" G");
	print_whole(54 + gcode.system);
	print(" G");
	print_whole(gcode.plane);
	print(" G");
	print_whole(gcode.units);
	print(" G9");
	serial_write(gcode.relative ? '1' : '0');
	print(" G94 M");
	print_whole(gcode.spindle);
	if (gcode.mist)
		print(" M7");
	if (gcode.flood)
		print(" M8");
	if (!gcode.mist && !gcode.flood)
		print(" M9");
	print(" T");
	print_whole(gcode.tool);
	print(" F");
	print_fixed(inches() ? (int32_t)((int64_t)gcode.feed * 10 / 254) : gcode.feed / 1000, inches() ? 1 : 0);
	print(" S");
	print_whole((int32_t)gcode.speed);
	print("]\r\n");
}

void report_build(void)
{
	print("[VER:1.1h.20260101:focusrail]\r\n[OPT:M,");
	print_whole(machine_queue_room());
	print(",128]\r\n[SUM:CRC16]\r\n");
}

void report_help(void)
{
	print("[HLP:$$ $# $G $I $N $x=val $J=line $PARK $SLP $C $X $H $RST=$ ~ ! ? ctrl-x]\r\n");
}
