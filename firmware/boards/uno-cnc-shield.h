/* Uno or Nano under a CNC shield v3: the X driver's socket and the X- limit header; the coolant headers shoot. */
#define STEP_PORT PORTD
#define STEP_DDR DDRD
#define STEP_BIT 2 /* D2 */
#define DIRECTION_PORT PORTD
#define DIRECTION_DDR DDRD
#define DIRECTION_BIT 5 /* D5 */
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
