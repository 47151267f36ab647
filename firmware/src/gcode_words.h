/* The words of a line: read and sorted into modal groups, nothing done yet. */
#ifndef GCODE_WORDS_H
#define GCODE_WORDS_H

#include <stdint.h>

#include "gcode.h"

enum word { WORD_F = 1, WORD_L = 2, WORD_N = 4, WORD_P = 8, WORD_S = 16, WORD_T = 32, WORD_X = 64, WORD_Y = 128, WORD_Z = 256 };

enum group {
	GROUP_NON_MODAL = 1,
	GROUP_MOTION = 2,
	GROUP_PLANE = 4,
	GROUP_DISTANCE = 8,
	GROUP_ARC = 16,
	GROUP_FEED_MODE = 32,
	GROUP_UNITS = 64,
	GROUP_CUTTER = 128,
	GROUP_TOOL_LENGTH = 256,
	GROUP_SYSTEM = 512,
	GROUP_PATH = 1024,
	GROUP_FLOW = 2048,
	GROUP_SPINDLE = 4096,
	GROUP_COOLANT = 8192,
};

enum { FLOW_NONE = 255 };

typedef struct {
	uint16_t given, groups; /* bits of enum word and enum group */
	uint8_t axes;           /* bits */
	number_t axis[AXES], p;
	uint16_t non_modal; /* 4, 10, 28, 281, 30, 301, 53, 92, 921; 0: none */
	uint8_t motion, plane, units, system, spindle, coolant, flow, l;
	bool relative;
	int32_t feed;
	uint32_t speed, tool, line_number;
	length_t system_offset[AXES];
} words_t;

enum error_code words_read(const char *line, words_t *w);

#endif
