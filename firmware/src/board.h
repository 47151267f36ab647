/* Pins. One map a board, in boards/; make BOARD=name picks one. */
#ifndef BOARD_H
#define BOARD_H

#include <avr/io.h>

#ifndef BOARD_HEADER
#define BOARD_HEADER "../boards/uno-cnc-shield.h"
#endif
#include BOARD_HEADER

#define BAUD_RATE 115200UL

#endif
