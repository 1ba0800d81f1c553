/* spawn.h - starts a worker's program: exec with the wire on fd 3, nothing else inherited, a minimal environment. */
#ifndef RUN_SPAWN_H
#define RUN_SPAWN_H

#include <sys/types.h>

#include "base/why.h"

struct spawn_child {
	pid_t pid;
	int pidfd;  /* becomes readable when the process ends; the caller reaps by waitid(P_PIDFD) */
	int socket; /* the core's end of the wire, non-blocking */
	int errors; /* read end of standard output and error, non-blocking */
};

/* Starts `argv[0]`. `env` is NULL or further NAME=VALUE strings. Does not wait for anything but the exec itself, and
 * reports its failure (posix_spawn). 0; or SCRY_E_UNAVAILABLE (program missing, not executable) or SCRY_E_SYSTEM
 * (descriptors, processes) with `why`. On success the caller owns the descriptors and the child. */
int spawn_worker(char *const argv[], const char *const env[], struct spawn_child *out, struct why *why);

/* Sends SIGKILL; the end is seen by the pidfd. */
void spawn_kill(const struct spawn_child *child);

/* Kills the process and reaps it. SIGKILL cannot be refused, so the wait is short; no zombie stays in the host process. */
void spawn_end(const struct spawn_child *child);

#endif
