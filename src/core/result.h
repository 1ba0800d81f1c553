/* result.h - what was seen in one picture, built piece by piece while the answer comes in, and its JSON. */
#ifndef CORE_RESULT_H
#define CORE_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scry.h"
#include "wire/proto.h"

/* Where the time went, microseconds. */
struct result_timings {
	uint64_t decode, queue, load, encode, prompt, generate, total;
};

struct result_worker {
	char program[PROTO_NAME];
	char model[PROTO_TEXT];
	uint32_t sandbox;
	int32_t landlock;
};

struct scry_result {
	const char *backend; /* of the table, static */
	char *text;
	size_t text_bytes;
	struct proto_item *items; /* in the order they came; checked by engine.c */
	size_t item_count, item_room;
	uint32_t width, height; /* of the picture as it is shown */
	uint64_t hash;
	uint32_t finish, image_tokens, prompt_tokens, tokens, drafted;
	struct result_timings us;
	unsigned worker_count;
	struct result_worker workers[2];
	char *json; /* made on demand */
	size_t label_count;
	struct scry_label *labels; /* made when the answer is complete; best first */
};

struct scry_result *result_create(const char *backend);
void result_destroy(struct scry_result *result);

/* False without memory; the result is unchanged then. */
bool result_add_text(struct scry_result *result, const char *text, size_t bytes);
bool result_add_item(struct scry_result *result, const struct proto_item *item);
/* The answer is complete: trims the text and sorts out the labels. False without memory. */
bool result_complete(struct scry_result *result);

/* The document of scry_result_json(), made once. NULL without memory. */
const char *result_json(struct scry_result *result);

/* The names of the parts in a sandbox mask, as a JSON array; NULL without memory. A new reference. */
struct json_t *result_sandbox_json(uint32_t sandbox);

#endif
