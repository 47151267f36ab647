/* focusrail's firmware for one-axis rails: starts the parts, then serves the host from one reset to the next. */
#include <avr/interrupt.h>
#include <avr/io.h>

#include "gcode.h"
#include "limits.h"
#include "line.h"
#include "machine.h"
#include "print.h"
#include "report.h"
#include "serial.h"
#include "settings.h"
#include "shutter.h"
#include "stepper.h"
#include "tick.h"
#include "watchdog.h"

static void start_parts(void)
{
	bool settings_kept = settings_load();

	shutter_start();
	stepper_start();
	limits_start();
	serial_start();
	tick_start();
	sei();
	if (!settings_kept) {
		settings_save();
		report_answer(ERROR_SETTINGS_LOST);
		report_settings();
	}
}

int main(void)
{
	uint8_t causes = watchdog_causes();

	stepper_phase_begins(causes & (_BV(PORF) | _BV(BORF)));
	start_parts();
	watchdog_start();
	gcode_reset();
	machine_start();
	machine_begin_session();
	if (causes & _BV(WDRF))
		print("[MSG:The watchdog reset the controller]\r\n");
	if (machine_position_known)
		print("[MSG:Parked position restored]\r\n");
	for (;;) {
		if (!machine_position_known)
			report_position_unknown();
		for (line_reset(); !machine_aborted(); watchdog_sleep()) {
			machine_service();
			line_take_bytes();
		}
		gcode_reset();
		machine_begin_session();
	}
}
