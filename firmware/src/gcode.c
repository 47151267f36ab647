#include "gcode.h"

#include <string.h>

#include "gcode_words.h"
#include "machine.h"
#include "park.h"
#include "report.h"
#include "request.h"
#include "settings.h"
#include "shutter.h"
#include "stepper.h"
#include "store.h"

enum { LINE_NUMBER_MOST = 10000000, TOOL_MOST = 255 };

gcode_state_t gcode;

static uint16_t place_at(uint8_t place)
{
	return STORE_SYSTEMS + place * STORE_SYSTEM_BYTES;
}

/* G54 to G59, G28 and G30; zeros where nothing was stored. */
void gcode_stored_place(uint8_t place, length_t values[AXES])
{
	if (!store_read(place_at(place), values, AXES * sizeof *values))
		memset(values, 0, AXES * sizeof *values);
}

/* The commanded place is where the motor stands: after a motion was broken off. */
void gcode_follow_position(void)
{
	gcode.position = length_from_steps(stepper_position());
}

void gcode_reset(void)
{
	memset(&gcode, 0, sizeof gcode);
	gcode.plane = 17;
	gcode.units = 21;
	gcode.spindle = 5;
	gcode_stored_place(0, gcode.system_offset);
	gcode_follow_position();
}

/* The place that an axis word names, in machine coordinates. */
static bool place_of(const words_t *w, uint8_t axis, length_t from, length_t *place)
{
	length_t given;
	int64_t sum;

	if (!number_to_length(&w->axis[axis], w->units == 20, &given))
		return false;
	if (w->non_modal == 53)
		sum = given;
	else if (w->relative)
		sum = (int64_t)from + given;
	else
		sum = (int64_t)given + w->system_offset[axis] + gcode.offset[axis];
	return length_fits(sum, place);
}

/* All axes' words; only X moves. */
static enum error_code target_of(const words_t *w, length_t *x)
{
	*x = gcode.position;
	for (uint8_t axis = 0; axis < AXES; axis++) {
		length_t place;

		if (!(w->axes & (1 << axis)))
			continue;
		if (!place_of(w, axis, axis ? 0 : gcode.position, &place))
			return ERROR_BAD_TARGET;
		if (axis == 0)
			*x = place;
		else if (place != 0)
			return ERROR_NO_SUCH_AXIS;
	}
	return ERROR_NONE;
}

static bool checking(void)
{
	return machine_state == STATE_CHECK;
}

static enum error_code settle(void)
{
	return checking() || machine_wait_rest() ? ERROR_NONE : ERROR_LOCKED;
}

static enum error_code go(length_t place, int32_t feed, bool jog)
{
	int32_t target;

	if (!length_to_steps(place, &target))
		return ERROR_BAD_TARGET;
	if (!machine_within_limits(target)) {
		if (!jog && !checking()) {
			if (!machine_wait_rest())
				return ERROR_LOCKED;
			machine_alarm(ALARM_SOFT_LIMIT);
		}
		return ERROR_TRAVEL_EXCEEDED;
	}
	if (!checking() && !machine_go(target, machine_rate(feed), jog))
		return ERROR_LOCKED;
	gcode.position = place;
	return ERROR_NONE;
}

static enum error_code dwell(const number_t *seconds)
{
	enum error_code error = settle();
	uint32_t rest = seconds->whole;

	if (error || checking())
		return error;
	for (; rest; rest--)
		if (!machine_wait_ms(1000))
			return ERROR_LOCKED;
	if (!machine_wait_ms((uint16_t)((seconds->fraction + 50) / 100)))
		return ERROR_LOCKED;
	/* A hold that came meanwhile is part of the wait. */
	return settle();
}

/* The offset that makes the present place read as the axis words say. */
static enum error_code offset_from(const words_t *w, const length_t base[AXES], length_t result[AXES])
{
	for (uint8_t axis = 0; axis < AXES; axis++) {
		length_t given;

		if (!(w->axes & (1 << axis)))
			continue;
		if (!number_to_length(&w->axis[axis], w->units == 20, &given))
			return ERROR_BAD_TARGET;
		result[axis] = (axis ? 0 : gcode.position) - base[axis] - given;
	}
	return ERROR_NONE;
}

static enum error_code set_g92(const words_t *w)
{
	length_t offset[AXES];
	enum error_code error;

	memcpy(offset, gcode.offset, sizeof offset);
	error = offset_from(w, w->system_offset, offset);
	if (error)
		return error;
	error = settle();
	if (error)
		return error;
	if (checking())
		return ERROR_NONE;
	park_void();
	memcpy(gcode.offset, offset, sizeof offset);
	if (w->axes & 1)
		machine_position_known = true;
	report_offset_changed();
	return ERROR_NONE;
}

static enum error_code clear_g92(void)
{
	enum error_code error = settle();

	if (error || checking())
		return error;
	park_void();
	memset(gcode.offset, 0, sizeof gcode.offset);
	report_offset_changed();
	return ERROR_NONE;
}

static enum error_code store_place(uint8_t place, const length_t values[AXES])
{
	enum error_code error = settle();

	if (error || checking())
		return error;
	store_write(place_at(place), values, AXES * sizeof *values);
	if (place == gcode.system) {
		park_void();
		memcpy(gcode.system_offset, values, sizeof gcode.system_offset);
		report_offset_changed();
	}
	return ERROR_NONE;
}

static enum error_code set_system(const words_t *w)
{
	length_t values[AXES], zero[AXES];
	uint8_t place;
	enum error_code error = ERROR_NONE;

	if (!(w->given & WORD_L) || !(w->given & WORD_P))
		return ERROR_VALUE_MISSING;
	if (w->p.whole > SYSTEMS)
		return ERROR_NO_SUCH_SYSTEM;
	place = w->p.whole ? (uint8_t)(w->p.whole - 1) : w->system;
	gcode_stored_place(place, values);
	if (w->l == 20) {
		memcpy(zero, gcode.offset, sizeof zero);
		error = offset_from(w, zero, values);
	} else if (w->l == 2) {
		for (uint8_t axis = 0; axis < AXES && !error; axis++)
			if (w->axes & (1 << axis) && !number_to_length(&w->axis[axis], w->units == 20, &values[axis]))
				error = ERROR_BAD_TARGET;
	} else {
		error = ERROR_UNSUPPORTED;
	}
	return error ? error : store_place(place, values);
}

static enum error_code go_to_stored(const words_t *w)
{
	length_t values[AXES], between;
	enum error_code error = target_of(w, &between);

	if (!error && w->axes)
		error = go(between, INT32_MAX, false);
	if (error)
		return error;
	gcode_stored_place(w->non_modal == 28 ? PLACE_G28 : PLACE_G30, values);
	return go(values[0], INT32_MAX, false);
}

static enum error_code non_modal(const words_t *w)
{
	switch (w->non_modal) {
	case 10: return set_system(w);
	case 28:
	case 30: return go_to_stored(w);
	case 281:
	case 301: {
		length_t values[AXES] = {gcode.position};

		return store_place(w->non_modal == 281 ? PLACE_G28 : PLACE_G30, values);
	}
	case 92: return set_g92(w);
	case 921: return clear_g92();
	default: return ERROR_NONE;
	}
}

static enum error_code shoot(const words_t *w)
{
	enum error_code error = settle();

	if (error)
		return error;
	if (!checking()) {
		if (w->coolant == 8)
			shutter_press();
		else if (w->coolant == 7)
			shutter_half_press();
		else
			shutter_release();
		if (machine_aborted() || machine_state == STATE_ALARM)
			return ERROR_LOCKED;
	}
	if (w->coolant == 9)
		gcode.flood = gcode.mist = false;
	else if (w->coolant == 8)
		gcode.flood = true;
	else
		gcode.mist = true;
	return ERROR_NONE;
}

static enum error_code program_flow(uint8_t flow)
{
	enum error_code error = settle();

	if (error || checking())
		return error;
	if (flow <= 1) {
		request_make(ASKED_HOLD);
		machine_service();
		return settle();
	}
	gcode.motion = 1;
	gcode.plane = 17;
	gcode.relative = false;
	gcode.spindle = 5;
	gcode.flood = gcode.mist = false;
	gcode.system = 0;
	gcode_stored_place(0, gcode.system_offset);
	shutter_release();
	report_offset_changed();
	report_program_end();
	return ERROR_NONE;
}

static bool axis_command(const words_t *w)
{
	return w->non_modal == 10 || w->non_modal == 28 || w->non_modal == 30 || w->non_modal == 92;
}

static enum error_code check(words_t *w, bool jog, length_t *target)
{
	bool moves = w->axes && !axis_command(w);
	uint16_t unused = w->given & (WORD_L | WORD_P);

	if (w->line_number > LINE_NUMBER_MOST)
		return ERROR_LINE_NUMBER;
	if (w->tool > TOOL_MOST)
		return ERROR_TOOL_NUMBER;
	if (jog && (w->groups & ~(GROUP_DISTANCE | GROUP_UNITS | GROUP_NON_MODAL) || (w->non_modal && w->non_modal != 53)))
		return ERROR_BAD_JOG;
	if (jog && !(w->given & WORD_F))
		return ERROR_NO_FEED;
	if (jog && !w->axes)
		return ERROR_NO_AXIS_WORDS;
	if (w->non_modal == 4) {
		if (!(w->given & WORD_P))
			return ERROR_VALUE_MISSING;
		unused &= ~WORD_P;
	}
	if (w->non_modal == 10)
		unused = 0;
	if (unused)
		return ERROR_WORDS_UNUSED;
	if ((w->non_modal == 10 || w->non_modal == 92) && !w->axes)
		return ERROR_NO_AXIS_WORDS;
	if (w->non_modal == 53 && !jog && w->motion > 1)
		return ERROR_G53_NEEDS_MOTION;
	*target = gcode.position;
	if (!moves)
		return ERROR_NONE;
	if (w->motion == 80 && !jog)
		return ERROR_AXIS_WORDS_UNUSED;
	if ((jog || w->motion == 1) && w->feed == 0)
		return ERROR_NO_FEED;
	return target_of(w, target);
}

/* One line without spaces and comments, in capitals; `jog`: what stands behind $J=. */
enum error_code gcode_run(const char *line, bool jog)
{
	words_t w;
	length_t target;
	enum error_code error = words_read(line, &w);

	if (!error)
		error = check(&w, jog, &target);
	if (error)
		return error;
	if (jog)
		return go(target, w.feed, true);
	gcode.feed = w.feed;
	gcode.speed = w.speed;
	gcode.tool = (uint8_t)w.tool;
	gcode.spindle = w.spindle;
	if (w.coolant)
		error = shoot(&w);
	if (!error && w.non_modal == 4)
		error = dwell(&w.p);
	if (error)
		return error;
	gcode.plane = w.plane;
	gcode.units = w.units;
	if (gcode.system != w.system) {
		error = settle();
		if (error)
			return error;
		park_void();
		gcode.system = w.system;
		memcpy(gcode.system_offset, w.system_offset, sizeof gcode.system_offset);
		report_offset_changed();
	}
	gcode.relative = w.relative;
	error = non_modal(&w);
	if (error)
		return error;
	gcode.motion = w.motion;
	if (w.axes && !axis_command(&w))
		error = go(target, w.motion == 0 ? INT32_MAX : w.feed, false);
	if (!error && w.flow != FLOW_NONE)
		error = program_flow(w.flow);
	return error;
}
