/* child_llama.c - scry-llama, the captioning engine on libmtmd and libllama: says what is in a frame.
 *
 * Runs in the worker, on the loop of child_main.c. Owns the model, its context and what is remembered of frames (struct
 * lm_engine) for the life of the process; ending the process is the unload.
 */
#include "engine/child_llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/lm_text.h"
#include "scry.h"
#include "wire/child.h"

#define LOOK_US 2000 /* between looks at the socket */
#define ANSWER_TOKENS 100
#define TEMPERATURE 0.1f
/* llama-server's defaults, so that the same settings mean the same there and here. */
#define TOP_K 40
#define TOP_P 0.95f
#define MIN_P 0.05f
static const char own_prompt[] = "Describe the image.";

static struct lm_engine engine;

bool
lm_cancelled(struct lm_engine *e)
{
	uint64_t now = clock_us();
	if (e->cancelled || e->request == 0 || now - e->looked_us < LOOK_US)
		return e->cancelled;
	e->looked_us = now;
	return e->cancelled = child_cancelled(e->request);
}

int
lm_fail(struct lm_engine *e, const char *what)
{
	if (e->cancelled)
		return SCRY_E_CANCELLED;
	snprintf(e->sentence, PROTO_SENTENCE, "%s%s%.200s", what, e->error[0] != '\0' ? ": " : "", e->error);
	return SCRY_E_MODEL;
}

/* --- choosing the next token ------------------------------------------------------------------------------- */

struct choosing {
	struct llama_sampler *chain;   /* NULL: always the likeliest */
	struct llama_sampler *grammar; /* NULL: anything goes */
	llama_token_data *candidates;
	int32_t vocabulary;
};

static struct llama_sampler *
make_chain(float temperature, uint32_t seed)
{
	struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
	llama_sampler_chain_add(chain, llama_sampler_init_top_k(TOP_K));
	llama_sampler_chain_add(chain, llama_sampler_init_top_p(TOP_P, 0));
	llama_sampler_chain_add(chain, llama_sampler_init_min_p(MIN_P, 0));
	llama_sampler_chain_add(chain, llama_sampler_init_temp(temperature));
	llama_sampler_chain_add(chain, llama_sampler_init_dist(seed));
	return chain;
}

static int
choosing_init(struct choosing *choosing, const struct child_question *question)
{
	float temperature = question->temperature < 0.f ? TEMPERATURE : question->temperature;
	choosing->vocabulary = llama_vocab_n_tokens(engine.vocab);
	choosing->candidates = malloc((size_t)choosing->vocabulary * sizeof(*choosing->candidates));
	if (choosing->candidates == NULL)
		return SCRY_E_MEMORY;
	if (temperature > 0.f)
		choosing->chain = make_chain(temperature, question->seed);
	if (question->task != PROTO_TASK_GRAMMAR)
		return 0;
	choosing->grammar = llama_sampler_init_grammar(engine.vocab, question->extra, "root");
	if (choosing->grammar != NULL)
		return 0;
	str_copy(engine.sentence, PROTO_SENTENCE, "the grammar cannot be read");
	return SCRY_E_ARGUMENT;
}

static void
choosing_end(struct choosing *choosing)
{
	if (choosing->chain != NULL)
		llama_sampler_free(choosing->chain);
	if (choosing->grammar != NULL)
		llama_sampler_free(choosing->grammar);
	free(choosing->candidates);
}

static llama_token
likeliest(const llama_token_data *candidates, size_t count)
{
	size_t best = 0;
	for (size_t i = 1; i < count; i++)
		best = candidates[i].logit > candidates[best].logit ? i : best;
	return candidates[best].id;
}

static llama_token
pick(struct choosing *choosing, const float *logits, bool by_grammar)
{
	llama_token_data_array all = {
		.data = choosing->candidates, .size = (size_t)choosing->vocabulary, .selected = -1, .sorted = false};
	for (int32_t i = 0; i < choosing->vocabulary; i++)
		all.data[i] = (llama_token_data){.id = i, .logit = logits[i]};
	if (by_grammar)
		llama_sampler_apply(choosing->grammar, &all);
	if (choosing->chain == NULL)
		return likeliest(all.data, all.size);
	llama_sampler_apply(choosing->chain, &all);
	return all.data[all.selected].id;
}

static bool
permitted(struct choosing *choosing, llama_token token)
{
	llama_token_data one = {.id = token, .logit = 1.f};
	llama_token_data_array array = {.data = &one, .size = 1, .selected = -1, .sorted = false};
	llama_sampler_apply(choosing->grammar, &array);
	return !isinf(one.logit);
}

/* A grammar is asked about the token that would come anyway; only when it refuses that one, about all of them. */
static llama_token
next_token(struct choosing *choosing, const float *logits)
{
	llama_token token = pick(choosing, logits, false);
	if (choosing->grammar != NULL && !permitted(choosing, token))
		token = pick(choosing, logits, true);
	if (choosing->grammar != NULL && !llama_vocab_is_eog(engine.vocab, token))
		llama_sampler_accept(choosing->grammar, token);
	if (choosing->chain != NULL)
		llama_sampler_accept(choosing->chain, token);
	return token;
}

/* --- saying ------------------------------------------------------------------------------------------------ */

static void
say(struct lm_text *text, llama_token token)
{
	char bytes[LM_TEXT_PIECE], out[LM_TEXT_OUT];
	int32_t n = llama_token_to_piece(engine.vocab, token, bytes, sizeof(bytes), 0, false);
	if (n > 0 && lm_text_add(text, bytes, (size_t)n, out) > 0)
		child_piece(engine.request, out);
}

static int
generate(struct choosing *choosing, uint32_t limit, struct proto_done *done)
{
	struct lm_text text = {0};
	char out[LM_TEXT_OUT];
	int error = 0;
	done->finish = PROTO_FINISH_LENGTH;
	while (done->tokens < limit && error == 0) {
		llama_token token = next_token(choosing, llama_get_logits_ith(engine.context, -1));
		if (llama_vocab_is_eog(engine.vocab, token)) {
			done->finish = PROTO_FINISH_STOP;
			break;
		}
		done->tokens++;
		say(&text, token);
		if (lm_cancelled(&engine))
			error = SCRY_E_CANCELLED;
		else if (done->tokens < limit)
			error = lm_eval(&engine, &token, 1, false);
	}
	if (lm_text_end(&text, out) > 0)
		child_piece(engine.request, out);
	if (error == 0 && choosing->grammar != NULL && done->finish == PROTO_FINISH_LENGTH) {
		snprintf(engine.sentence, PROTO_SENTENCE, "the answer is not complete after %u tokens; allow more", limit);
		error = SCRY_E_LIMIT;
	}
	if (error == 0 && !text.any) {
		str_copy(engine.sentence, PROTO_SENTENCE, "the model ended its answer without a word; ask in other words");
		error = SCRY_E_MODEL;
	}
	return error;
}

static int
caption(const struct child_frame *frame, const struct child_question *question, struct proto_done *done)
{
	struct choosing choosing = {0};
	uint32_t limit = question->max_tokens > 0 ? question->max_tokens : ANSWER_TOKENS;
	const char *prompt = question->prompt[0] != '\0' ? question->prompt : own_prompt;
	int error = choosing_init(&choosing, question);
	if (error == 0)
		error = lm_prefill(&engine, frame, prompt, limit, done);
	uint64_t began = clock_us();
	if (error == 0)
		error = generate(&choosing, limit, done);
	done->generate_us = (uint32_t)(clock_us() - began);
	choosing_end(&choosing);
	return error;
}

static int
load(const struct child_setup *setup, struct proto_ready *ready, char *sentence)
{
	return lm_load(&engine, setup, ready, sentence);
}

static int
describe(const struct child_frame *frame, const struct child_question *question, struct proto_done *done,
         char *sentence)
{
	engine.request = question->request;
	engine.cancelled = false;
	engine.looked_us = 0;
	engine.error[0] = '\0';
	engine.sentence = sentence;
	int error =
		question->task == PROTO_TASK_CHOICES ? lm_ask(&engine, frame, question, done) : caption(frame, question, done);
	if (error == SCRY_E_CANCELLED)
		lm_forget(&engine);
	if (error == SCRY_E_MEMORY)
		str_copy(sentence, PROTO_SENTENCE, "out of memory");
	engine.request = 0;
	engine.sentence = NULL;
	return error;
}

const struct child_engine child_engine = {
	.program = "scry-llama", .opens_files = true, .prepare = lm_prepare, .load = load, .describe = describe};
