/* G-code: one line, checked as a whole, then done. */
#ifndef GCODE_H
#define GCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "codes.h"
#include "length.h"

enum { AXES = 3, SYSTEMS = 6, STORED_PLACES = 8, PLACE_G28 = 6, PLACE_G30 = 7 };

typedef struct {
	uint8_t motion, plane, units, system, spindle;
	bool relative, mist, flood;
	uint8_t tool;
	int32_t feed;  /* 0.001 mm/min */
	uint32_t speed; /* of a spindle that is not there */
	length_t system_offset[AXES], offset[AXES]; /* G54 to G59, and G92 */
	length_t position; /* commanded place of X, machine coordinates */
} gcode_state_t;

extern gcode_state_t gcode;

void gcode_reset(void);
void gcode_follow_position(void);
enum error_code gcode_run(const char *line, bool jog);
void gcode_stored_place(uint8_t place, length_t values[AXES]);

#endif
