#include "queue.h"

static move_t moves[QUEUE_BLOCKS];
static uint8_t first, count;

bool queue_push(const move_t *move)
{
	if (count == QUEUE_BLOCKS)
		return false;
	moves[(first + count++) % QUEUE_BLOCKS] = *move;
	return true;
}

bool queue_pop(move_t *move)
{
	if (!count)
		return false;
	*move = moves[first];
	first = (first + 1) % QUEUE_BLOCKS;
	count--;
	return true;
}

bool queue_empty(void)
{
	return count == 0;
}

uint8_t queue_room(void)
{
	return QUEUE_BLOCKS - count;
}

void queue_clear(void)
{
	count = 0;
}
