/* launch.h - where worker programs are, and how they are started (by themselves, or by the private runtime's loader). */
#ifndef RUN_LAUNCH_H
#define RUN_LAUNCH_H

#include <stdbool.h>

#define LAUNCH_PATH 512

/* Found once per core; the strings of worker specs point in here. */
struct launch {
	char folder[LAUNCH_PATH];  /* of the worker programs */
	char loader[LAUNCH_PATH];  /* the private runtime's ld.so; "" when there is none */
	char library[LAUNCH_PATH]; /* and its libraries */
};

/* Looks in `workers` (may be NULL), $SCRY_WORKERS, the folder of libscry itself (a build folder), and the installed
 * place, first seen from libscry (which may have been moved with it) and then as configured; the first that holds
 * scry-eye. When none does, the last is kept, for the error sentences. */
void launch_find(const char *workers, struct launch *out);

/* Writes the path of a program; true when it is there and executable. */
bool launch_program(const struct launch *launch, const char *program, char path[LAUNCH_PATH]);

#endif
