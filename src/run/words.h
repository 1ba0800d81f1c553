/* words.h - the last words of a worker process, and the sentence about its end. No loop, no worker: data only. */
#ifndef RUN_WORDS_H
#define RUN_WORDS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"

#define WORDS_BYTES 1024 /* of standard error that are kept; the end of it, where a program says what kills it */

struct words {
	char text[WORDS_BYTES];
	size_t bytes;
};

/* Keeps the end of what stands in `fd` (non-blocking) now, a pipe's worth at most: one that writes without end must not
 * keep the loop there. False at the end of the file. */
bool words_read(struct words *words, int fd);

/* How a process ended; all zero when the kernel reaped it for a host that ignores SIGCHLD. */
struct words_end {
	const char *name; /* "scry-eye" */
	const char *path; /* of its program */
	siginfo_t status; /* from waitid() */
	bool hello;       /* it had said HELLO */
};

/* It ended itself without a word of ours: a library that it needs is missing, or it is another program altogether. One
 * that was killed at this time is a different thing, and worth another try. */
bool words_left_at_once(const struct words_end *end);

/* "worker NAME died of signal 9 (Killed); its last words: ..." */
void words_tell(struct words *words, const struct words_end *end, struct why *why);

#endif
