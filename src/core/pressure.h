/* pressure.h - when the machine runs out of memory, idle models go first. The kernel says so (PSI). */
#ifndef CORE_PRESSURE_H
#define CORE_PRESSURE_H

#include <stdbool.h>
#include <uv.h>

struct pressure;

/* Watches /proc/pressure/memory on the loop and calls `tight` when tasks have waited for memory for 150 ms within 2 s, at
 * most once in 2 s. NULL where the kernel has no such file, or no memory is left: then nothing is watched. */
struct pressure *pressure_watch(uv_loop_t *loop, void (*tight)(void *user), void *user);
void pressure_destroy(struct pressure *pressure); /* the loop must run on until the handle is closed */

#endif
