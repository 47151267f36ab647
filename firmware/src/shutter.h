/* The camera's remote socket: half press and release, with their times. */
#ifndef SHUTTER_H
#define SHUTTER_H

#include <stdbool.h>

void shutter_start(void);
void shutter_off(void); /* at once */
void shutter_half_press(void);
void shutter_press(void);   /* settle, half press, release: waits */
void shutter_release(void); /* after the shortest hold: waits */
bool shutter_pressed(void);
bool shutter_half_pressed(void);

#endif
