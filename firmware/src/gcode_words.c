#include "gcode_words.h"

#include <string.h>

static enum error_code in_group(words_t *w, enum group group)
{
	if (w->groups & group)
		return ERROR_GROUP_TWICE;
	w->groups |= group;
	return ERROR_NONE;
}

static enum error_code non_modal(words_t *w, uint16_t code)
{
	w->non_modal = code;
	return in_group(w, GROUP_NON_MODAL);
}

/* `code` is ten times the number: G28.1 is 281. */
static enum error_code g_word(words_t *w, uint16_t code)
{
	switch (code) {
	case 0:
	case 10:
	case 800: w->motion = (uint8_t)(code / 10); return in_group(w, GROUP_MOTION);
	case 40:
	case 100:
	case 280:
	case 300:
	case 530:
	case 920: return non_modal(w, code / 10);
	case 281:
	case 301:
	case 921: return non_modal(w, code);
	case 170:
	case 180:
	case 190: w->plane = (uint8_t)(code / 10); return in_group(w, GROUP_PLANE);
	case 200:
	case 210: w->units = (uint8_t)(code / 10); return in_group(w, GROUP_UNITS);
	case 400: return in_group(w, GROUP_CUTTER);
	case 490: return in_group(w, GROUP_TOOL_LENGTH);
	case 540:
	case 550:
	case 560:
	case 570:
	case 580:
	case 590:
		w->system = (uint8_t)(code / 10 - 54);
		gcode_stored_place(w->system, w->system_offset);
		return in_group(w, GROUP_SYSTEM);
	case 610: return in_group(w, GROUP_PATH);
	case 900:
	case 910: w->relative = code == 910; return in_group(w, GROUP_DISTANCE);
	case 911: return in_group(w, GROUP_ARC);
	case 940: return in_group(w, GROUP_FEED_MODE);
	default: return ERROR_UNSUPPORTED;
	}
}

static enum error_code m_word(words_t *w, uint16_t code)
{
	switch (code) {
	case 0:
	case 10:
	case 20:
	case 300: w->flow = (uint8_t)(code / 10); return in_group(w, GROUP_FLOW);
	case 30:
	case 40:
	case 50: w->spindle = (uint8_t)(code / 10); return in_group(w, GROUP_SPINDLE);
	case 70:
	case 80:
	case 90: w->coolant = (uint8_t)(code / 10); return in_group(w, GROUP_COOLANT);
	default: return ERROR_UNSUPPORTED;
	}
}

static enum error_code once(words_t *w, enum word word)
{
	if (w->given & word)
		return ERROR_WORD_TWICE;
	w->given |= word;
	return ERROR_NONE;
}

/* A feed rate in 0.001 mm/min; more than fits is as good as the most. */
static int32_t feed_of(const number_t *n, bool inches)
{
	uint64_t value = (uint64_t)n->whole * 1000 + (n->fraction + 50) / 100;

	if (inches)
		value = value * 254 / 10;
	return value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

static enum error_code value_word(words_t *w, char letter, const number_t *n, number_t *feed)
{
	enum word word;

	switch (letter) {
	case 'F': word = WORD_F; *feed = *n; break;
	case 'L': word = WORD_L; w->l = n->whole < 255 ? (uint8_t)n->whole : 255; break;
	case 'N': word = WORD_N; w->line_number = n->whole; break;
	case 'P': word = WORD_P; w->p = *n; break;
	case 'S': word = WORD_S; w->speed = n->whole; break;
	case 'T': word = WORD_T; w->tool = n->whole; break;
	case 'X':
	case 'Y':
	case 'Z':
		w->axis[letter - 'X'] = *n;
		w->axes |= (uint8_t)(1 << (letter - 'X'));
		return once(w, (enum word)(WORD_X << (letter - 'X')));
	default: return ERROR_UNSUPPORTED;
	}
	if (n->negative && (n->whole || n->fraction))
		return ERROR_NEGATIVE_VALUE;
	return once(w, word);
}

static enum error_code conflicts(const words_t *w)
{
	bool claims = w->non_modal == 10 || w->non_modal == 28 || w->non_modal == 30 || w->non_modal == 92;

	return claims && w->groups & GROUP_MOTION ? ERROR_AXIS_CONFLICT : ERROR_NONE;
}

enum error_code words_read(const char *line, words_t *w)
{
	number_t number, feed = {0};
	enum error_code error;

	memset(w, 0, sizeof *w);
	w->motion = gcode.motion;
	w->plane = gcode.plane;
	w->units = gcode.units;
	w->system = gcode.system;
	w->spindle = gcode.spindle;
	w->relative = gcode.relative;
	w->speed = gcode.speed;
	w->tool = gcode.tool;
	w->flow = FLOW_NONE;
	memcpy(w->system_offset, gcode.system_offset, sizeof w->system_offset);
	while (*line) {
		char letter = *line++;

		if (letter < 'A' || letter > 'Z')
			return ERROR_EXPECTED_LETTER;
		if (!number_read(&line, &number))
			return ERROR_BAD_NUMBER;
		if (letter == 'G' || letter == 'M') {
			uint16_t code = (uint16_t)(number.whole * 10 + number.fraction / 10000);

			if (number.negative || number.whole > 255)
				return ERROR_UNSUPPORTED;
			if (number.fraction % 10000)
				return ERROR_NOT_WHOLE;
			error = letter == 'G' ? g_word(w, code) : m_word(w, code);
		} else {
			error = value_word(w, letter, &number, &feed);
		}
		if (error)
			return error;
	}
	w->feed = w->given & WORD_F ? feed_of(&feed, w->units == 20) : gcode.feed;
	return conflicts(w);
}
