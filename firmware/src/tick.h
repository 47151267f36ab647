/* The millisecond tick: what is done in it, in which order. */
#ifndef TICK_H
#define TICK_H

void tick_start(void);

#endif
