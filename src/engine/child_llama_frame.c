/* child_llama_frame.c - a frame's way into the model's memory, by the shortest one; see child_llama.h. In the worker.
 *
 * A prompt is [head] [image] [question]. The head is the same for every frame and is evaluated once; the image is
 * encoded once a frame, and the state right behind it is kept, so that another question on the same frame begins there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/child_llama.h"
#include "engine/lm_text.h"
#include "scry.h"

/* --- the sequence ------------------------------------------------------------------------------------------ */

void
lm_forget(struct lm_engine *engine)
{
	if (engine->memory != NULL)
		llama_memory_clear(engine->memory, false);
	engine->position = 0;
	engine->frame_position = 0;
}

int
lm_save(struct lm_engine *engine, uint8_t **state, size_t *room, size_t *bytes)
{
	size_t size = llama_state_seq_get_size(engine->context, 0);
	if (size > *room) {
		uint8_t *grown = realloc(*state, size);
		if (grown == NULL)
			return SCRY_E_MEMORY;
		*state = grown;
		*room = size;
	}
	*bytes = llama_state_seq_get_data(engine->context, *state, size, 0);
	return *bytes == 0 ? SCRY_E_MEMORY : 0;
}

bool
lm_restore(struct lm_engine *engine, const uint8_t *state, size_t bytes, llama_pos position)
{
	lm_forget(engine);
	if (llama_state_seq_set_data(engine->context, state, bytes, 0) == 0) {
		lm_forget(engine);
		return false;
	}
	engine->position = position;
	return true;
}

bool
lm_cut(struct lm_engine *engine, llama_pos position)
{
	if (engine->recurrent || position == 0 || !llama_memory_seq_rm(engine->memory, 0, position, -1))
		return false;
	engine->position = position;
	return true;
}

int
lm_eval(struct lm_engine *engine, const llama_token *tokens, size_t count, bool all)
{
	struct llama_batch batch = llama_batch_init((int32_t)LM_BATCH, 0, 1);
	int error = 0;
	for (size_t at = 0; at < count && error == 0;) {
		size_t take = count - at < LM_BATCH ? count - at : LM_BATCH;
		batch.n_tokens = (int32_t)take;
		for (size_t i = 0; i < take; i++) {
			batch.token[i] = tokens[at + i];
			batch.pos[i] = engine->position + (llama_pos)i;
			batch.n_seq_id[i] = 1;
			batch.seq_id[i][0] = 0;
			batch.logits[i] = all || at + i + 1 == count;
		}
		if (llama_decode(engine->context, batch) != 0)
			error = lm_fail(engine, "the model could not evaluate the prompt");
		engine->position += (llama_pos)take;
		at += take;
	}
	llama_batch_free(batch);
	return error;
}

/* --- the prompt -------------------------------------------------------------------------------------------- */

/* The chat as the model's own template writes it, where libllama knows that template; the way of its family otherwise. */
static char *
render(struct lm_engine *engine, const char *prompt)
{
	char *content = str_format("%s%s", mtmd_default_marker(), prompt);
	if (content == NULL)
		return NULL;
	struct llama_chat_message message = {.role = "user", .content = content};
	int32_t room = (int32_t)strlen(content) + 1024;
	char *text = malloc((size_t)room + 32);
	const char *template = engine->chat_template;
	int32_t n = text == NULL ? -1 : llama_chat_apply_template(template, &message, 1, true, text, room);
	if (n < 0 && text != NULL)
		n = llama_chat_apply_template("chatml", &message, 1, true, text, room);
	free(content);
	if (n < 0 || n > room) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	strcat(text, lm_no_thinking(template, text));
	return text;
}

/* libmtmd wants rows without gaps. */
static struct mtmd_bitmap *
make_bitmap(const struct child_frame *frame, bool pixels)
{
	size_t row = (size_t)frame->width * 3;
	if (!pixels)
		return mtmd_bitmap_init(frame->width, frame->height, NULL);
	unsigned char *rgb = malloc(row * frame->height);
	if (rgb == NULL)
		return NULL;
	for (uint32_t y = 0; y < frame->height; y++)
		memcpy(rgb + y * row, frame->rgb + (size_t)y * frame->stride, row);
	struct mtmd_bitmap *bitmap = mtmd_bitmap_init(frame->width, frame->height, rgb);
	free(rgb);
	return bitmap;
}

struct mtmd_input_chunks *
lm_pieces(struct lm_engine *engine, const struct child_frame *frame, const char *prompt, bool pixels)
{
	char *text = render(engine, prompt);
	struct mtmd_bitmap *bitmap = make_bitmap(frame, pixels);
	struct mtmd_input_chunks *chunks = mtmd_input_chunks_init();
	struct mtmd_input_text input = {
		.text = text, .text_len = text != NULL ? strlen(text) : 0, .add_special = true, .parse_special = true};
	const struct mtmd_bitmap *bitmaps[] = {bitmap};
	engine->error[0] = '\0';
	if (text == NULL || bitmap == NULL || mtmd_tokenize(engine->mtmd, chunks, &input, bitmaps, 1) != 0) {
		lm_fail(engine, "the picture and the prompt cannot be put together");
		mtmd_input_chunks_free(chunks);
		chunks = NULL;
	}
	mtmd_bitmap_free(bitmap);
	free(text);
	return chunks;
}

/* --- the image --------------------------------------------------------------------------------------------- */

static bool
is_text(const struct mtmd_input_chunk *chunk)
{
	return mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT;
}

/* The last piece that belongs to the image; behind it comes the question. */
static size_t
last_image(const struct mtmd_input_chunks *chunks)
{
	size_t last = 0;
	for (size_t i = 0; i < mtmd_input_chunks_size(chunks); i++) {
		if (!is_text(mtmd_input_chunks_get(chunks, i)))
			last = i;
	}
	return last;
}

static int
eval_text(struct lm_engine *engine, const struct mtmd_input_chunk *chunk)
{
	size_t count;
	const llama_token *tokens = mtmd_input_chunk_get_tokens_text(chunk, &count);
	return lm_eval(engine, tokens, count, false);
}

static size_t
embedding_bytes(const struct lm_engine *engine, const struct mtmd_input_chunk *chunk)
{
	return mtmd_input_chunk_get_n_tokens(chunk) * (size_t)llama_model_n_embd_inp(engine->model) * sizeof(float);
}

/* The encoder's output of all image pieces, from the cache or made now. */
static int
encode(struct lm_engine *engine, struct lm_frame *frame, const struct mtmd_input_chunks *chunks)
{
	size_t bytes = 0, at = 0;
	for (size_t i = 0; i < mtmd_input_chunks_size(chunks); i++) {
		const struct mtmd_input_chunk *chunk = mtmd_input_chunks_get(chunks, i);
		bytes += is_text(chunk) ? 0 : embedding_bytes(engine, chunk);
	}
	char *embeddings = (char *)lm_cache_embeddings(&engine->cache, frame, bytes);
	if (embeddings == NULL)
		return lm_fail(engine, "there is no memory for the picture's embeddings");
	for (size_t i = 0; i < mtmd_input_chunks_size(chunks); i++) {
		const struct mtmd_input_chunk *chunk = mtmd_input_chunks_get(chunks, i);
		if (is_text(chunk))
			continue;
		engine->nodes = 0;
		int failed = mtmd_encode_chunk(engine->mtmd, chunk);
		/* A graph that was stopped half way counts as done over there. */
		if (failed != 0 || engine->cancelled) {
			frame->used = 0;
			return lm_fail(engine, "the picture cannot be encoded");
		}
		memcpy(embeddings + at, mtmd_get_output_embd(engine->mtmd), embedding_bytes(engine, chunk));
		at += embedding_bytes(engine, chunk);
	}
	return 0;
}

/* The text before the image, which is the same for every frame. */
static int
eval_head(struct lm_engine *engine, const struct mtmd_input_chunk *chunk)
{
	size_t count, room = engine->head_state_bytes;
	const llama_token *tokens = mtmd_input_chunk_get_tokens_text(chunk, &count);
	bool known = engine->head_count == count && memcmp(engine->head, tokens, count * sizeof(*tokens)) == 0;
	if (known && engine->recurrent &&
	    lm_restore(engine, engine->head_state, engine->head_state_bytes, (llama_pos)count))
		return 0;
	/* In the sequence of an attention model the head still stands in front of the last frame. */
	if (known && engine->frame_position > (llama_pos)count && lm_cut(engine, (llama_pos)count))
		return 0;
	lm_forget(engine);
	engine->head_count = 0;
	int error = lm_eval(engine, tokens, count, false);
	if (error < 0 || count > LM_HEAD_TOKENS)
		return error;
	if (engine->recurrent && lm_save(engine, &engine->head_state, &room, &engine->head_state_bytes) < 0)
		return 0;
	memcpy(engine->head, tokens, count * sizeof(*tokens));
	engine->head_count = count;
	return 0;
}

static int
eval_image(struct lm_engine *engine, struct lm_frame *frame, const struct mtmd_input_chunks *chunks)
{
	size_t last = last_image(chunks), at = 0;
	const struct mtmd_input_chunk *first = mtmd_input_chunks_get(chunks, 0);
	int error = 0;
	if (is_text(first))
		error = eval_head(engine, first);
	else
		lm_forget(engine);
	engine->frame_position = 0;
	frame->tokens = frame->image_tokens = 0;
	for (size_t i = 0; i <= last && error == 0; i++) {
		const struct mtmd_input_chunk *chunk = mtmd_input_chunks_get(chunks, i);
		frame->tokens += (uint32_t)mtmd_input_chunk_get_n_tokens(chunk);
		if (is_text(chunk)) {
			error = i == 0 ? 0 : eval_text(engine, chunk);
			continue;
		}
		frame->image_tokens += (uint32_t)mtmd_input_chunk_get_n_tokens(chunk);
		if (mtmd_helper_decode_image_chunk(engine->mtmd, engine->context, chunk, frame->embeddings + at / sizeof(float),
		                                   engine->position, 0, LM_BATCH, &engine->position, NULL, NULL) != 0)
			error = lm_fail(engine, "the model could not evaluate the picture");
		at += embedding_bytes(engine, chunk);
	}
	return error;
}

/* Keeps the state right after the image. A failure here costs time at the next question, nothing else. */
static void
keep_state(struct lm_engine *engine, struct lm_frame *frame)
{
	size_t size = llama_state_seq_get_size(engine->context, 0);
	uint8_t *state = lm_cache_state(&engine->cache, frame, size);
	frame->position = engine->position;
	if (state != NULL && llama_state_seq_get_data(engine->context, state, size, 0) != size)
		frame->state_bytes = 0;
}

/* The frame is known: back to right after it, in the sequence itself or by its saved state. */
static bool
return_to(struct lm_engine *engine, const struct lm_frame *frame)
{
	if (engine->frame_position > 0 && engine->frame_key == frame->key && lm_cut(engine, engine->frame_position))
		return true;
	if (frame->state_bytes == 0 || !lm_restore(engine, frame->state, frame->state_bytes, frame->position))
		return false;
	engine->frame_key = frame->key;
	engine->frame_position = frame->position;
	return true;
}

static uint64_t
key_of(const struct child_frame *frame)
{
	return (frame->hash ^ ((uint64_t)frame->width << 32 | frame->height)) * 0x9e3779b97f4a7c15u;
}

static int
look(struct lm_engine *engine, const struct mtmd_input_chunks *chunks, uint64_t key, struct proto_done *done)
{
	uint64_t began = clock_us();
	struct lm_frame *frame = lm_cache_take(&engine->cache, key);
	int error = frame->embeddings != NULL ? 0 : encode(engine, frame, chunks);
	uint64_t encoded = clock_us();
	done->encode_us += (uint32_t)(encoded - began);
	if (error == 0)
		error = eval_image(engine, frame, chunks);
	if (error < 0) {
		lm_forget(engine);
		engine->head_count = 0;
		return error;
	}
	keep_state(engine, frame);
	engine->frame_key = key;
	engine->frame_position = engine->position;
	return 0;
}

/* The question behind the image: all text pieces after it. */
static int
eval_question(struct lm_engine *engine, const struct mtmd_input_chunks *chunks)
{
	size_t count = mtmd_input_chunks_size(chunks), i = last_image(chunks) + 1;
	int error = i < count ? 0 : lm_fail(engine, "the chat template says nothing after the picture");
	for (; i < count && error == 0; i++)
		error = eval_text(engine, mtmd_input_chunks_get(chunks, i));
	if (error < 0)
		lm_forget(engine);
	return error;
}

int
lm_prefill(struct lm_engine *engine, const struct child_frame *frame, const char *prompt, size_t least, size_t *answer,
           struct proto_done *done)
{
	uint64_t began = clock_us(), key = key_of(frame);
	struct lm_frame *known = lm_cache_find(&engine->cache, key);
	bool seen = known != NULL && (known->state_bytes > 0 || engine->frame_key == key);
	struct mtmd_input_chunks *chunks = lm_pieces(engine, frame, prompt, !seen);
	if (chunks == NULL)
		return engine->cancelled ? SCRY_E_CANCELLED : SCRY_E_MODEL;
	size_t total = mtmd_helper_get_n_tokens(chunks);
	size_t made_for = (size_t)llama_model_n_ctx_train(engine->model);
	if (total + *answer > made_for)
		*answer = made_for >= total + least ? made_for - total : least;
	int error = lm_fit(engine, total + *answer);
	/* The context may have been made anew, and what was known is gone with it. */
	known = lm_cache_find(&engine->cache, key);
	if (error == 0 && (known == NULL || !return_to(engine, known))) {
		if (seen) { /* the pixels are needed after all */
			mtmd_input_chunks_free(chunks);
			chunks = lm_pieces(engine, frame, prompt, true);
		}
		error = chunks == NULL ? SCRY_E_MODEL : look(engine, chunks, key, done);
	}
	if (error == 0)
		error = eval_question(engine, chunks);
	mtmd_input_chunks_free(chunks);
	known = lm_cache_find(&engine->cache, key);
	done->image_tokens = known != NULL ? known->image_tokens : 0;
	done->prompt_tokens = (uint32_t)total;
	done->prompt_us = (uint32_t)(clock_us() - began) - done->encode_us;
	return error;
}
