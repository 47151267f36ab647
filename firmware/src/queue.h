/* Moves that wait for their turn. */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { QUEUE_BLOCKS = 16 };

typedef struct {
	int32_t target;
	float rate; /* steps/s */
	bool jog;
} move_t;

bool queue_push(const move_t *move);
bool queue_pop(move_t *move);
bool queue_empty(void);
uint8_t queue_room(void);
void queue_clear(void);

#endif
