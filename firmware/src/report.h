/* What the host is told. */
#ifndef REPORT_H
#define REPORT_H

#include "codes.h"

void report_answer(enum error_code error);
void report_alarm(enum alarm_code code);
void report_banner(void);
void report_locked(void);
void report_position_unknown(void);
void report_status(void);
void report_offset_changed(void);
void report_program_end(void);
void report_settings(void);
void report_places(void);
void report_modes(void);
void report_build(void);
void report_help(void);

#endif
