/* Keeping the position while the power is off. */
#ifndef PARK_H
#define PARK_H

#include <stdbool.h>

#include "codes.h"

enum error_code park_run(void);
bool park_restore(void);
void park_void(void);

#endif
