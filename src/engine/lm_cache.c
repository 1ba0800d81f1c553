/* lm_cache.c - see lm_cache.h. Eight frames: a walk over them is cheaper than any index. */
#include "engine/lm_cache.h"

#include <stdlib.h>
#include <string.h>

void
lm_cache_init(struct lm_cache *cache, size_t max_bytes)
{
	*cache = (struct lm_cache){.max_bytes = max_bytes};
}

static void
drop_state(struct lm_frame *frame)
{
	free(frame->state);
	frame->state = NULL;
	frame->state_bytes = frame->state_room = 0;
}

static void
drop(struct lm_frame *frame)
{
	free(frame->embeddings);
	drop_state(frame);
	*frame = (struct lm_frame){0};
}

void
lm_cache_clear(struct lm_cache *cache)
{
	for (size_t i = 0; i < LM_CACHE_FRAMES; i++)
		drop(&cache->frames[i]);
}

struct lm_frame *
lm_cache_find(struct lm_cache *cache, uint64_t key)
{
	for (size_t i = 0; i < LM_CACHE_FRAMES; i++) {
		struct lm_frame *frame = &cache->frames[i];
		if (frame->used == 0 || frame->key != key)
			continue;
		frame->used = ++cache->clock;
		return frame;
	}
	return NULL;
}

enum holding { HOLDS_ANY, HOLDS_BYTES, HOLDS_STATE };

/* The least recently used frame that holds so much; free places are the oldest of all. */
static struct lm_frame *
oldest_but(struct lm_cache *cache, const struct lm_frame *spared, enum holding holding)
{
	struct lm_frame *oldest = NULL;
	for (size_t i = 0; i < LM_CACHE_FRAMES; i++) {
		struct lm_frame *frame = &cache->frames[i];
		if (frame == spared || (holding == HOLDS_STATE && frame->state == NULL) ||
		    (holding == HOLDS_BYTES && frame->embedding_bytes == 0))
			continue;
		if (oldest == NULL || frame->used < oldest->used)
			oldest = frame;
	}
	return oldest;
}

struct lm_frame *
lm_cache_take(struct lm_cache *cache, uint64_t key)
{
	struct lm_frame *frame = lm_cache_find(cache, key);
	if (frame != NULL)
		return frame;
	frame = oldest_but(cache, NULL, HOLDS_ANY);
	drop(frame);
	frame->key = key;
	frame->used = ++cache->clock;
	return frame;
}

size_t
lm_cache_bytes(const struct lm_cache *cache)
{
	size_t bytes = 0;
	for (size_t i = 0; i < LM_CACHE_FRAMES; i++)
		bytes += cache->frames[i].embedding_bytes + cache->frames[i].state_room;
	return bytes;
}

/* States go first: they are large, and cost only a prefill to make again; then whole frames. */
static bool
make_room(struct lm_cache *cache, const struct lm_frame *spared, size_t bytes)
{
	struct lm_frame *frame;
	if (bytes > cache->max_bytes)
		return false;
	while (lm_cache_bytes(cache) + bytes > cache->max_bytes) {
		if ((frame = oldest_but(cache, spared, HOLDS_STATE)) != NULL) {
			drop_state(frame);
			continue;
		}
		frame = oldest_but(cache, spared, HOLDS_BYTES);
		if (frame == NULL)
			return false;
		drop(frame);
	}
	return true;
}

float *
lm_cache_embeddings(struct lm_cache *cache, struct lm_frame *frame, size_t bytes)
{
	free(frame->embeddings);
	frame->embeddings = NULL;
	frame->embedding_bytes = 0;
	if (make_room(cache, frame, bytes))
		frame->embeddings = malloc(bytes);
	if (frame->embeddings != NULL)
		frame->embedding_bytes = bytes;
	return frame->embeddings;
}

/* The place of the state that would go next, when it fits: no new memory for each frame of a camera. */
static void
inherit(struct lm_cache *cache, struct lm_frame *frame, size_t bytes)
{
	struct lm_frame *from = oldest_but(cache, frame, HOLDS_STATE);
	if (from == NULL || from->state_room < bytes || lm_cache_bytes(cache) + bytes <= cache->max_bytes)
		return;
	frame->state = from->state;
	frame->state_room = from->state_room;
	from->state = NULL;
	from->state_bytes = from->state_room = 0;
}

uint8_t *
lm_cache_state(struct lm_cache *cache, struct lm_frame *frame, size_t bytes)
{
	if (frame->state_room < bytes) {
		drop_state(frame);
		inherit(cache, frame, bytes);
	}
	if (frame->state == NULL && make_room(cache, frame, bytes)) {
		frame->state = malloc(bytes);
		frame->state_room = frame->state != NULL ? bytes : 0;
	}
	frame->state_bytes = frame->state != NULL ? bytes : 0;
	return frame->state;
}
