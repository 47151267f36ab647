/* Homing X alone. */
#ifndef HOMING_H
#define HOMING_H

#include "codes.h"

enum error_code homing_run(void);

#endif
