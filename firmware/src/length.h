/* Lengths: whole units of 10 nm as they are written in G-code, and steps. All conversions are exact, rounded once. */
#ifndef LENGTH_H
#define LENGTH_H

#include <stdbool.h>
#include <stdint.h>

typedef int32_t length_t; /* units of 0.00001 mm */

enum { LENGTH_PER_MM = 100000 };
#define LENGTH_MOST (20000l * LENGTH_PER_MM)
#define STEPS_MOST 1000000000l

/* A number as read: value = whole + fraction / 100000. */
typedef struct {
	bool negative;
	uint32_t whole;
	uint32_t fraction;
} number_t;

bool number_read(const char **text, number_t *number);
bool number_to_length(const number_t *number, bool inches, length_t *length);

bool length_fits(int64_t value, length_t *length);
int64_t length_divide(int64_t over, int64_t under);
bool length_to_steps(length_t length, int32_t *steps);
length_t length_from_steps(int32_t steps);
int32_t length_report_steps(int32_t steps, bool inches);
int32_t length_report(length_t length, bool inches);

#endif
