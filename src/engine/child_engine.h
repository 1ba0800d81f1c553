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

/* A file the core gave: mapped read-only by the loop, kept for the life of the process. */
struct child_file {
	enum proto_file_kind kind;
	char name[PROTO_NAME];
	const void *data;
	size_t size;
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
	const char *language;
};

struct child_engine {
	const char *program; /* "scry-lite" */
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
