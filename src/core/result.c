/* result.c - see result.h. Runs in the core, on data that engine.c has checked. */
#include "core/result.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_FIRST 16

struct scry_result *
result_create(const char *backend)
{
	struct scry_result *result = calloc(1, sizeof(*result));
	if (result == NULL)
		return NULL;
	result->backend = backend;
	result->finish = PROTO_FINISH_STOP;
	result->text = calloc(1, 1);
	if (result->text == NULL) {
		free(result);
		return NULL;
	}
	return result;
}

void
result_destroy(struct scry_result *result)
{
	if (result == NULL)
		return;
	free(result->text);
	free(result->items);
	free(result->labels);
	free(result->json);
	free(result);
}

bool
result_add_text(struct scry_result *result, const char *text, size_t bytes)
{
	char *grown = realloc(result->text, result->text_bytes + bytes + 1);
	if (grown == NULL)
		return false;
	memcpy(grown + result->text_bytes, text, bytes);
	result->text = grown;
	result->text_bytes += bytes;
	grown[result->text_bytes] = '\0';
	return true;
}

bool
result_add_item(struct scry_result *result, const struct proto_item *item)
{
	if (result->item_count == result->item_room) {
		size_t room = result->item_room == 0 ? ITEMS_FIRST : result->item_room * 2;
		struct proto_item *grown = realloc(result->items, room * sizeof(*grown));
		if (grown == NULL)
			return false;
		result->items = grown;
		result->item_room = room;
	}
	result->items[result->item_count++] = *item;
	return true;
}

static int
better_first(const void *a, const void *b)
{
	const struct scry_label *left = a, *right = b;
	return left->p < right->p ? 1 : left->p > right->p ? -1 : 0;
}

static bool
is_label(const struct proto_item *item)
{
	return item->kind == PROTO_ITEM_OBJECT || item->kind == PROTO_ITEM_FACE || item->kind == PROTO_ITEM_LABEL;
}

bool
result_complete(struct scry_result *result)
{
	float width = (float)result->width, height = (float)result->height;
	while (result->text_bytes > 0 && strchr(" \n\t", result->text[result->text_bytes - 1]) != NULL)
		result->text[--result->text_bytes] = '\0';
	result->labels = calloc(result->item_count + 1, sizeof(*result->labels));
	if (result->labels == NULL)
		return false;
	for (size_t i = 0; i < result->item_count; i++) {
		const struct proto_item *item = &result->items[i];
		if (!is_label(item))
			continue;
		result->labels[result->label_count++] =
			(struct scry_label){.label = item->kind == PROTO_ITEM_FACE ? "face" : item->text,
		                        .p = item->score,
		                        .x = item->x * width,
		                        .y = item->y * height,
		                        .width = item->width * width,
		                        .height = item->height * height};
	}
	qsort(result->labels, result->label_count, sizeof(*result->labels), better_first);
	return true;
}

/* --- JSON ------------------------------------------------------------------------------------------------ */

/* Scores and places at the precision they have; doubles of floats would print as 0.8500000238418579. */
static json_t *
rounded(double value, double steps)
{
	return json_real((double)(long long)(value * steps + (value < 0 ? -0.5 : 0.5)) / steps);
}

/* jansson answers NULL and -1 without memory. A document that lacks something is worse than none, so every builder below
 * gives its array or object back whole, or NULL. */
static json_t *
whole(json_t *value, bool ok)
{
	if (ok)
		return value;
	json_decref(value);
	return NULL;
}

static json_t *
box_json(double x, double y, double width, double height)
{
	return json_pack("[o, o, o, o]", rounded(x, 10), rounded(y, 10), rounded(width, 10), rounded(height, 10));
}

static json_t *
labels_json(const struct scry_result *result)
{
	json_t *array = json_array();
	bool ok = array != NULL;
	for (size_t i = 0; ok && i < result->label_count; i++) {
		const struct scry_label *label = &result->labels[i];
		json_t *entry = json_pack("{s:s, s:o}", "label", label->label, "p", rounded(label->p, 1e4));
		if (label->width > 0)
			ok = json_object_set_new(entry, "box", box_json(label->x, label->y, label->width, label->height)) == 0;
		ok = json_array_append_new(array, entry) == 0 && ok;
	}
	return whole(array, ok);
}

static json_t *
words_json(const struct scry_result *result)
{
	json_t *array = json_array();
	bool ok = array != NULL;
	for (size_t i = 0; ok && i < result->item_count; i++) {
		const struct proto_item *item = &result->items[i];
		if (item->kind != PROTO_ITEM_WORD)
			continue;
		json_t *entry = json_pack("{s:s, s:o, s:o}", "text", item->text, "p", rounded(item->score, 1e4), "box",
		                          box_json((double)item->x * result->width, (double)item->y * result->height,
		                                   (double)item->width * result->width, (double)item->height * result->height));
		ok = json_array_append_new(array, entry) == 0;
	}
	return whole(array, ok);
}

static json_t *
colors_json(const struct scry_result *result)
{
	json_t *array = json_array();
	bool ok = array != NULL;
	for (size_t i = 0; ok && i < result->item_count; i++) {
		const struct proto_item *item = &result->items[i];
		if (item->kind == PROTO_ITEM_COLOR)
			ok = json_array_append_new(
					 array, json_pack("{s:s, s:o}", "name", item->text, "share", rounded(item->score, 1e3))) == 0;
	}
	return whole(array, ok);
}

/* Kind and brightness of the picture as a whole. */
static json_t *
picture_json(const struct scry_result *result)
{
	json_t *object = json_object();
	bool ok = object != NULL;
	for (size_t i = 0; ok && i < result->item_count; i++) {
		const struct proto_item *item = &result->items[i];
		if (item->kind == PROTO_ITEM_PICTURE)
			ok = json_object_set_new(object, "kind", json_string(item->text)) == 0 &&
				json_object_set_new(object, "p", rounded(item->score, 1e3)) == 0;
		else if (item->kind == PROTO_ITEM_BRIGHTNESS)
			ok = json_object_set_new(object, "brightness", rounded(item->score, 1e3)) == 0;
	}
	return whole(object, ok);
}

/* What not every backend measures is left out when there is none of it. False without memory. */
static bool
add_unless_empty(json_t *document, const char *key, json_t *value)
{
	if (value != NULL && json_array_size(value) == 0 && json_object_size(value) == 0) {
		json_decref(value);
		return true;
	}
	return json_object_set_new(document, key, value) == 0;
}

struct json_t *
result_sandbox_json(uint32_t sandbox)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} parts[] = {{PROTO_SANDBOX_NO_NEW_PRIVS, "no_new_privs"},
	             {PROTO_SANDBOX_LIMITS, "limits"},
	             {PROTO_SANDBOX_FILES, "files"},
	             {PROTO_SANDBOX_NETWORK, "network"},
	             {PROTO_SANDBOX_SYSCALLS, "syscalls"}};
	json_t *array = json_array();
	bool ok = array != NULL;
	for (size_t i = 0; ok && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if ((sandbox & parts[i].bit) != 0)
			ok = json_array_append_new(array, json_string(parts[i].name)) == 0;
	}
	return whole(array, ok);
}

static json_t *
workers_json(const struct scry_result *result)
{
	json_t *object = json_object();
	bool ok = object != NULL;
	for (unsigned i = 0; ok && i < result->worker_count; i++) {
		const struct result_worker *worker = &result->workers[i];
		ok = json_object_set_new(object, worker->program,
		                         json_pack("{s:o}", "sandbox", result_sandbox_json(worker->sandbox))) == 0;
	}
	return whole(object, ok);
}

static json_t *
timings_json(const struct result_timings *us)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "decode", rounded((double)us->decode / 1e3, 1e3), "queue",
	                 rounded((double)us->queue / 1e3, 1e3), "load", rounded((double)us->load / 1e3, 1e3), "encode",
	                 rounded((double)us->encode / 1e3, 1e3), "prompt", rounded((double)us->prompt / 1e3, 1e3),
	                 "generate", rounded((double)us->generate / 1e3, 1e3), "total",
	                 rounded((double)us->total / 1e3, 1e3));
}

/* The engine stands behind the eye, when there is one. */
static const char *
model_name(const struct scry_result *result)
{
	const struct result_worker *last = &result->workers[result->worker_count > 0 ? result->worker_count - 1 : 0];
	return result->worker_count > 1 && last->model[0] != '\0' ? last->model : result->backend;
}

const char *
result_json(struct scry_result *result)
{
	char hash[17];
	if (result->json != NULL)
		return result->json;
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)result->hash);
	json_t *document = json_pack(
		"{s:s, s:s, s:s%, s:o, s:s, s:{s:i, s:i, s:s}, s:{s:i, s:i, s:i, s:i}, s:o, s:o}", "backend", result->backend,
		"model", model_name(result), "text", result->text, result->text_bytes, "labels", labels_json(result), "finish",
		result->finish == PROTO_FINISH_LENGTH ? "length" : "stop", "frame", "width", (int)result->width, "height",
		(int)result->height, "hash", hash, "usage", "image_tokens", (int)result->image_tokens, "prompt_tokens",
		(int)result->prompt_tokens, "tokens", (int)result->tokens, "drafted", (int)result->drafted, "timings_ms",
		timings_json(&result->us), "workers", workers_json(result));
	if (document == NULL)
		return NULL;
	if (add_unless_empty(document, "words", words_json(result)) &&
	    add_unless_empty(document, "picture", picture_json(result)) &&
	    add_unless_empty(document, "colors", colors_json(result)))
		result->json = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(document);
	return result->json;
}
