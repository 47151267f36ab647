/* Sums of lines: one that begins with a star ends with a star and the sum of all before it, or was damaged on its way. */
#ifndef SUM_H
#define SUM_H

#include <stdint.h>

enum { SUM_TAIL = 5 }; /* the second star and four hexadecimal digits */

enum sum { SUM_NONE, SUM_RIGHT, SUM_WRONG };

void sum_begin(void);
void sum_take(uint8_t byte); /* each byte of a line as it came, comments and blanks too */
enum sum sum_of_line(void);

#endif
