/* Lines: put together from bytes, cleaned, carried out, answered exactly once. */
#ifndef LINE_H
#define LINE_H

void line_reset(void);
void line_take_bytes(void);

#endif
