/* Lines that begin with $. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "codes.h"

enum error_code commands_run(const char *line);

#endif
