/* Nano in a CNC shield v4: as v3, but that this board has step and direction the other way round. */
#define STEP_PORT PORTD
#define STEP_DDR DDRD
#define STEP_BIT 5 /* D5 */
#define DIRECTION_PORT PORTD
#define DIRECTION_DDR DDRD
#define DIRECTION_BIT 2 /* D2 */
#define ENABLE_PORT PORTB
#define ENABLE_DDR DDRB
#define ENABLE_BIT 0 /* D8 */
#define LIMIT_PORT PORTB
#define LIMIT_PIN PINB
#define LIMIT_BIT 1 /* D9 */
#define RELEASE_PORT PORTC
#define RELEASE_DDR DDRC
#define RELEASE_BIT 3 /* A3 */
#define HALF_PRESS_PORT PORTC
#define HALF_PRESS_DDR DDRC
#define HALF_PRESS_BIT 4 /* A4 */
