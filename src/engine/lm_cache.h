/* lm_cache.h - what is known of frames seen lately: the encoder's output, and the model's state right after the image.
 *
 * Least recently used goes first, by number and by bytes. Keyed by a hash of the pixels. Used by child_llama.c in the
 * worker, whose one thread owns it; pure.
 */
#ifndef ENGINE_LM_CACHE_H
#define ENGINE_LM_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_CACHE_FRAMES 8

struct lm_frame {
	uint64_t key;
	uint64_t used;     /* counts up; 0: the place is free */
	float *embeddings; /* encoder output of all image parts, one after the other; NULL: none */
	size_t embedding_bytes;
	uint8_t *state; /* of the sequence after the image; NULL: none */
	size_t state_bytes, state_room;
	int32_t position;      /* the next token's */
	uint32_t image_tokens; /* in the sequence, with what belongs to the image */
	uint32_t tokens;       /* all that stand before that position */
};

struct lm_cache {
	struct lm_frame frames[LM_CACHE_FRAMES];
	size_t max_bytes; /* of embeddings and states together */
	uint64_t clock;
};

void lm_cache_init(struct lm_cache *cache, size_t max_bytes);
void lm_cache_clear(struct lm_cache *cache);

/* The frame of that key, now the latest; NULL when it is not known. */
struct lm_frame *lm_cache_find(struct lm_cache *cache, uint64_t key);

/* The frame of that key, made when it was not known (the least recently used one goes). */
struct lm_frame *lm_cache_take(struct lm_cache *cache, uint64_t key);

/* Gives `frame` room for embeddings or for a state, by dropping what others hold until it fits into max_bytes; memory is
 * used again where it is large enough. NULL without memory or when it is more than max_bytes alone. */
float *lm_cache_embeddings(struct lm_cache *cache, struct lm_frame *frame, size_t bytes);
uint8_t *lm_cache_state(struct lm_cache *cache, struct lm_frame *frame, size_t bytes);

size_t lm_cache_bytes(const struct lm_cache *cache);

#endif
