/* child_engine.h - what an engine program provides to the loop in child_main.c.
 *
 * Each engine program links child_main.c with one `const struct child_engine child_engine`. The loop does the wire
 * (messages, slots, deadlines); the engine does the model. All of it runs in the worker's one main thread.
 */
#ifndef ENGINE_CHILD_ENGINE_H
#define ENGINE_CHILD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/proto.h"

#define CHILD_FILES 160

/* A file the core gave: mapped read-only by the loop, kept for the life of the process. An engine whose library wants to
 * open files itself (child_engine.opens_files) gets the descriptor instead, and `data` is NULL. */
struct child_file {
	enum proto_file_kind kind;
	char name[PROTO_NAME];
	const void *data;
	size_t size;
	int fd; /* -1 when mapped */
};

struct child_setup {
	unsigned threads;
	unsigned file_count;
	struct child_file files[CHILD_FILES];
};

/* A frame to look at: RGB24, rows `stride` bytes apart. Read-only and alive during the call. */
struct child_frame {
	const uint8_t *rgb;
	uint32_t width, height, stride;
	uint64_t hash;
};

struct child_question {
	uint32_t request; /* for child_piece, child_cancelled, child_item */
	uint32_t flags;   /* enum proto_describe_flags */
	uint32_t max_tokens;
	const char *prompt; /* NUL-terminated UTF-8, "" for the engine's own */
	enum proto_task task;
	const char *extra; /* NUL-terminated UTF-8: what `task` needs; "" */
	uint32_t seed;
	float temperature;
	const char *language;
};

struct child_engine {
	const char *program; /* "scry-lite" */
	bool opens_files;    /* the sandbox's file rules are made from the files, at START, before `load` */
	/* NULL, or what has to happen before the sandbox closes: finding the library's own parts. No input is there yet. */
	void (*prepare)(void);
	/* Loads what the setup holds. Fills `ready`. 0 or a negative scry_error with `sentence` (PROTO_SENTENCE
	 * bytes) written. A missing part that others can do without is not an error: leave it out of ready->parts. */
	int (*load)(const struct child_setup *setup, struct proto_ready *ready, char *sentence);
	/* Looks at the frame; sends text by child_piece() and findings by child_item(); fills `done`.
	 * 0, SCRY_E_CANCELLED when child_cancelled() said so, or another negative scry_error with `sentence`. */
	int (*describe)(const struct child_frame *frame, const struct child_question *question, struct proto_done *done,
	                char *sentence);
};

extern const struct child_engine child_engine;

/* Sends one finding; `text` may be NULL and is cut at PROTO_TEXT between characters. Box in parts of the frame. */
void child_item(uint32_t request, enum proto_item_kind kind, float score, const char *text, const float box[4]);

#endif
