/*
 * A bench for rail firmware: runs any ATmega328P ELF with its UART on a pseudo-terminal, turns its step pulses into a
 * true carriage position, logs its shutter pins in MCU time, and makes faults.
 *
 *   avr_bench --elf focusrail.elf --pty /tmp/rail [options]
 *
 * Control: one JSON object a line on stdin, one JSON object a line on stdout as the answer. The first line on stdout,
 * {"event":"ready",...}, says that the port is there. Ends with stdin. See README.md for the commands.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "avr_eeprom.h"
#include "bench.h"
#include "memory.h"
#include "sim_elf.h"
#include "timers.h"

static bench_t *the_bench; /* simavr's hooks know their MCU only */

static void no_pause(avr_t *avr, avr_cycle_count_t how_long)
{
	(void)avr;
	the_bench->slept += how_long;
}

static void quiet_log(avr_t *avr, const int level, const char *format, va_list rest)
{
	(void)avr;
	if (level <= LOG_ERROR)
		vfprintf(stderr, format, rest);
}

/* Wait for the host, for control, or until the wall clock has caught up with the MCU's. */
static void wait_for(bench_t *b, double how_long)
{
	struct pollfd fds[2] = {{b->pass_until ? -1 : STDIN_FILENO, POLLIN, 0}, {b->wire.master, POLLIN, 0}};
	struct timespec limit = {(time_t)how_long, (long)((how_long - floor(how_long)) * 1e9)};

	if (ppoll(fds, 2, &limit, NULL) < 0)
		return;
	if (fds[0].revents)
		read_control(b);
}

static void run_slice(bench_t *b)
{
	avr_t *avr = b->avr;
	uint64_t until = now(b) + SLICE;

	if (b->pass_until && b->pass_until < until)
		until = b->pass_until;

	while (now(b) < until) {
		int state = avr_run(avr);

		timers_match_at_zero(avr);
		if (b->bitten) {
			b->bitten = false;
			reset(b, false, true);
			continue;
		}
		if (state == cpu_Done || state == cpu_Crashed) {
			say("{\"event\":\"%s\",\"pc\":%u}", state == cpu_Done ? "stopped" : "crashed", avr->pc);
			b->powered = false;
			return;
		}
		if (b->pending_count)
			obey_due(b);
		if (!b->powered)
			return;
	}
}

/* Without power no MCU time goes by, so nobody waits for it. */
static void end_pass(bench_t *b)
{
	if (!b->pass_until || (b->powered && now(b) < b->pass_until))
		return;
	b->pass_until = 0;
	say("{\"ok\":true,\"written\":%llu}", (unsigned long long)b->wire.written);
}

static void run(bench_t *b)
{
	double start = wall();
	uint64_t mark = now(b);

	while (!b->over) {
		double ahead;

		wire_poll(&b->wire);
		if (!b->powered) {
			end_pass(b);
			wait_for(b, 0.02);
			start = wall();
			mark = now(b);
			continue;
		}
		if (b->speed < 0 && !b->pass_until) {
			wait_for(b, 0.02);
			continue;
		}
		run_slice(b);
		end_pass(b);
		ahead = b->speed > 0 ? seconds(now(b) - mark) / b->speed - (wall() - start) : 0;
		if (ahead < -0.05 || ahead > 1) { /* no catching up: a busy machine just runs the MCU slower */
			start = wall();
			mark = now(b);
			ahead = 0;
		}
		wait_for(b, ahead > 0 ? ahead : 0);
	}
}

static void load_eeprom(bench_t *b)
{
	uint8_t bytes[EEPROM_BYTES];
	avr_eeprom_desc_t all = {bytes, 0, EEPROM_BYTES};
	FILE *file = b->eeprom_file ? fopen(b->eeprom_file, "rb") : NULL;

	if (!file)
		return;
	if (fread(bytes, 1, sizeof bytes, file) == sizeof bytes)
		avr_ioctl(b->avr, AVR_IOCTL_EEPROM_SET, &all);
	fclose(file);
}

static void save_eeprom(bench_t *b)
{
	uint8_t bytes[EEPROM_BYTES];
	avr_eeprom_desc_t all = {bytes, 0, EEPROM_BYTES};
	FILE *file = b->eeprom_file ? fopen(b->eeprom_file, "wb") : NULL;

	if (!file)
		return;
	avr_ioctl(b->avr, AVR_IOCTL_EEPROM_GET, &all);
	fwrite(bytes, 1, sizeof bytes, file);
	fclose(file);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: avr_bench --elf FILE --pty LINK [--um-per-step UM] [--start-um UM] [--backlash-um UM]\n"
		"  [--low-stop-um UM] [--high-stop-um UM] [--switch-um UM [--switch-high]] [--invert]\n"
		"  [--limit-active-high] [--enable-active-high]\n"
		"  [--step D2] [--direction D5] [--enable D8] [--limit D9] [--release A3] [--half-press A4]\n"
		"  [--speed TIMES (0: as fast as it goes; below 0: only in \"pass\")] [--baud N] [--eeprom FILE]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static bench_t bench;
	static elf_firmware_t firmware;
	static const struct option options[] = {
		{"elf", 1, 0, 'e'},	      {"pty", 1, 0, 'p'},	     {"um-per-step", 1, 0, 'u'},
		{"start-um", 1, 0, 's'},      {"backlash-um", 1, 0, 'b'},    {"low-stop-um", 1, 0, 'l'},
		{"high-stop-um", 1, 0, 'h'},  {"switch-um", 1, 0, 'w'},	     {"switch-high", 0, 0, 'W'},
		{"invert", 0, 0, 'i'},	      {"limit-active-high", 0, 0, 'A'}, {"enable-active-high", 0, 0, 'E'},
		{"speed", 1, 0, 'x'},	      {"baud", 1, 0, 'B'},	     {"eeprom", 1, 0, 'f'},
		{"step", 1, 0, 1},	      {"direction", 1, 0, 2},	     {"enable", 1, 0, 3},
		{"limit", 1, 0, 4},	      {"release", 1, 0, 5},	     {"half-press", 1, 0, 6},
		{0, 0, 0, 0},
	};
	bench_t *b = &bench;
	carriage_t *c = &b->carriage;
	const char *elf = NULL, *pty = NULL;
	double start_um = 0;
	bool known = true;
	unsigned baud = 115200;
	int option;

	the_bench = b;
	b->pins = UNO_CNC_SHIELD;
	*c = (carriage_t){.um_per_step = 4.0, .low_stop_um = -1e9, .high_stop_um = 1e9};
	b->speed = 1;
	b->powered = b->limit_active_low = b->enable_active_low = true;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'e': elf = optarg; break;
		case 'p': pty = optarg; break;
		case 'u': c->um_per_step = atof(optarg); break;
		case 's': start_um = atof(optarg); break;
		case 'b': c->backlash_um = atof(optarg); break;
		case 'l': c->low_stop_um = atof(optarg); break;
		case 'h': c->high_stop_um = atof(optarg); break;
		case 'w': c->switch_um = atof(optarg); c->has_switch = true; break;
		case 'W': c->switch_at_high = true; break;
		case 'i': c->invert = true; break;
		case 'A': b->limit_active_low = false; break;
		case 'E': b->enable_active_low = false; break;
		case 'x': b->speed = atof(optarg); break;
		case 'B': baud = (unsigned)atoi(optarg); break;
		case 'f': b->eeprom_file = optarg; break;
		case 1: known &= pin_by_name(optarg, &b->pins.step); break;
		case 2: known &= pin_by_name(optarg, &b->pins.direction); break;
		case 3: known &= pin_by_name(optarg, &b->pins.enable); break;
		case 4: known &= pin_by_name(optarg, &b->pins.limit) && b->pins.limit.port != 'D'; break;
		case 5: known &= pin_by_name(optarg, &b->pins.release); break;
		case 6: known &= pin_by_name(optarg, &b->pins.half_press); break;
		default: usage();
		}
	}
	if (!known || !elf || !pty || c->um_per_step <= 0 || baud < 300)
		usage();
	avr_global_logger_set(quiet_log);
	if (elf_read_firmware(elf, &firmware)) {
		fprintf(stderr, "avr_bench: %s is no ELF file for an AVR\n", elf);
		return 2;
	}
	b->avr = avr_make_mcu_by_name("atmega328p");
	if (!b->avr)
		return 2;
	avr_init(b->avr);
	b->avr->log = LOG_ERROR;
	b->avr->frequency = MCU_HZ;
	b->avr->sleep = no_pause;
	firmware.frequency = MCU_HZ;
	avr_load_firmware(b->avr, &firmware);
	b->avr->sleep = no_pause;
	load_eeprom(b);
	/* The rotor's zero is where the carriage starts. */
	c->low_stop_um -= start_um;
	c->high_stop_um -= start_um;
	c->switch_um -= start_um;
	carriage_start(c, 0);
	hook_pins(b);
	timers_hook(b->avr);
	memory_hook(b->avr);
	if (!wire_start(&b->wire, b->avr, pty, baud)) {
		fprintf(stderr, "avr_bench: no pseudo-terminal at %s: %s\n", pty, strerror(errno));
		return 2;
	}
	hook_resets(b);
	b->wire.struck = on_struck;
	b->wire.struck_param = b;
	reset(b, true, false);
	b->boots = 1;
	say("{\"event\":\"ready\",\"pty\":\"%s\"}", pty);
	(void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	run(b);
	wire_unplug(&b->wire);
	save_eeprom(b);
	return 0;
}
