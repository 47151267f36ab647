#include "line.h"

#include <stdbool.h>
#include <stdint.h>

#include "commands.h"
#include "gcode.h"
#include "machine.h"
#include "report.h"
#include "serial.h"
#include "sum.h"

enum { LONGEST = 80 };
enum comment { COMMENT_NONE, COMMENT_BRACKETS, COMMENT_TO_END };

static char text[LONGEST + 1];
static uint8_t length;
static enum comment comment;
static bool too_long, damaged, after_return;

static void begin(void)
{
	length = 0;
	comment = COMMENT_NONE;
	too_long = damaged = false;
	sum_begin();
}

void line_reset(void)
{
	begin();
	after_return = false;
}

static void add(uint8_t byte)
{
	if (byte == SERIAL_LOST) {
		damaged = true;
	} else if (comment == COMMENT_BRACKETS) {
		if (byte == ')')
			comment = COMMENT_NONE;
	} else if (comment == COMMENT_TO_END || byte <= ' ' || byte == '/') {
		return;
	} else if (byte == '(') {
		comment = COMMENT_BRACKETS;
	} else if (byte == ';') {
		comment = COMMENT_TO_END;
	} else if (length == LONGEST) {
		too_long = true;
	} else {
		text[length++] = (char)(byte >= 'a' && byte <= 'z' ? byte - ('a' - 'A') : byte);
	}
}

static enum error_code carry_out(void)
{
	enum sum sum = sum_of_line();
	const char *line = text;

	if (damaged || sum == SUM_WRONG)
		return ERROR_LINE_DAMAGED;
	if (too_long)
		return ERROR_LINE_TOO_LONG;
	if (sum == SUM_RIGHT) {
		if (length <= SUM_TAIL || text[length - SUM_TAIL] != '*') /* a comment in it */
			return ERROR_LINE_DAMAGED;
		text[length - SUM_TAIL] = 0;
		line++;
	}
	if (*line == 0)
		return ERROR_NONE;
	if (*line == '$')
		return commands_run(line + 1);
	if (machine_state == STATE_ALARM || machine_state == STATE_JOG)
		return ERROR_LOCKED;
	return gcode_run(line, false);
}

/* What has arrived, up to where it has to wait: in a hold and in sleep nothing is read. */
void line_take_bytes(void)
{
	uint8_t byte;

	while (!machine_aborted() && machine_state != STATE_HOLD && machine_state != STATE_SLEEP && serial_read(&byte)) {
		enum error_code error;

		if (byte == '\n' && after_return) {
			after_return = false;
			continue;
		}
		after_return = byte == '\r';
		if (byte != '\n' && byte != '\r') {
			sum_take(byte);
			add(byte);
			continue;
		}
		text[length] = 0;
		error = carry_out();
		begin();
		machine_service();
		if (!machine_aborted() || error == ERROR_NONE)
			report_answer(error);
	}
}
