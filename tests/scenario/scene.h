/* scene.h - what the scenario drivers share: saying what failed, looking at this process from outside, a picture.
 *
 * A driver is a plain program on the real libscry with real workers (folder in $SCRY_WORKERS). It prints what it saw and
 * exits with scene_end(): 0 only when every check held.
 */
#ifndef SCENARIO_SCENE_H
#define SCENARIO_SCENE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scry.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SCENE_SANITIZED 1
#else
#define SCENE_SANITIZED 0
#endif

/* How late an answer may be on a machine that does other things as well. */
#define SCENE_SLACK_MS (SCENE_SANITIZED ? 3000 : 500)

/* Counts and says a failure when `holds` is false. Returns `holds`. Safe from any thread. */
bool scene_check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The exit status, after a last line. */
int scene_end(const char *title);

uint64_t scene_now_ms(void);
void scene_nap_ms(unsigned ms);
/* A number in 0..below-1 from the state in *seed. */
unsigned scene_random(uint64_t *seed, unsigned below);

/* Anonymous memory of this process that is in RAM, KiB: what a leak would raise. */
long scene_anon_kib(void);
unsigned scene_fds(void);
/* True when this process has a child, alive or dead and not waited for. */
bool scene_has_child(void);
/* Fills `pids` with the children that this thread (`tid`) started; returns how many. */
unsigned scene_children(pid_t tid, pid_t *pids, unsigned room);
/* Sends a signal to a child of this process and to nothing else, were its number used again meanwhile. */
bool scene_signal_child(pid_t pid, int signal);

/* A BMP of `width` by `height` pixels, with something on it. *size gets its bytes; to be freed. */
void *scene_picture(unsigned width, unsigned height, size_t *size);

/* Opens a core with backend `fake` and no log, or ends the program. */
struct scry *scene_open(void);
/* Describes and waits; returns the error. The sentence, or the text, goes to `said` (may be NULL, else SCENE_SAID
 * bytes); the time taken to *ms (may be NULL). */
#define SCENE_SAID 1024
int scene_describe(struct scry *scry, struct scry_image image, const char *prompt, unsigned deadline_ms, char *said,
                   uint64_t *ms);
/* A worker of the core in its status: a number or a text; 0 or "" when it is not there. */
long scene_worker_number(struct scry *scry, const char *program, const char *key);

#endif
