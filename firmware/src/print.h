/* Text and numbers to the host. */
#ifndef PRINT_H
#define PRINT_H

#include <avr/pgmspace.h>
#include <stdint.h>

void print_flash(const char *text);
#define print(text) print_flash(PSTR(text))
void print_whole(int32_t value);
void print_fixed(int32_t value, uint8_t decimals);
void print_line_end(void);

#endif
