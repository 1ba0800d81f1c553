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
#define ANSWER_LEAST 8 /* tokens that must fit behind the prompt */
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

/* LLAMA_TOKEN_NULL when none has any probability. */
static llama_token
likeliest(const llama_token_data *candidates, size_t count)
{
	size_t best = 0;
	for (size_t i = 1; i < count; i++)
		best = candidates[i].logit > candidates[best].logit ? i : best;
	return isinf(candidates[best].logit) ? LLAMA_TOKEN_NULL : candidates[best].id;
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
	if (likeliest(all.data, all.size) == LLAMA_TOKEN_NULL)
		return LLAMA_TOKEN_NULL;
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
	if (choosing->grammar != NULL && (token == LLAMA_TOKEN_NULL || !permitted(choosing, token)))
		token = pick(choosing, logits, true);
	if (token == LLAMA_TOKEN_NULL)
		return token;
	if (choosing->grammar != NULL && !llama_vocab_is_eog(engine.vocab, token))
		llama_sampler_accept(choosing->grammar, token);
	if (choosing->chain != NULL)
		llama_sampler_accept(choosing->chain, token);
	return token;
}

/* --- saying ------------------------------------------------------------------------------------------------ */

/* One answer in the making. */
struct answer {
	struct choosing choosing;
	struct lm_text text;
	struct proto_done *done;
	uint32_t limit;
	llama_token tokens[LM_OUTPUTS]; /* its beginning, to be the next draft */
	bool over;
};

/* Says a token; false when it was the last one: the end, or the limit. */
static bool
say(struct answer *answer, llama_token token)
{
	char bytes[LM_TEXT_PIECE], out[LM_TEXT_OUT];
	if (llama_vocab_is_eog(engine.vocab, token)) {
		answer->done->finish = PROTO_FINISH_STOP;
		answer->over = true;
		return false;
	}
	if (answer->done->tokens < LM_OUTPUTS)
		answer->tokens[answer->done->tokens] = token;
	answer->done->tokens++;
	int32_t n = llama_token_to_piece(engine.vocab, token, bytes, sizeof(bytes), 0, false);
	if (n > 0 && lm_text_add(&answer->text, bytes, (size_t)n, out) > 0)
		child_piece(engine.request, out);
	answer->over = answer->done->tokens >= answer->limit;
	return !answer->over;
}

/* --- the last answer as a draft ---------------------------------------------------------------------------- */

/* Drafts are tried while they save more time than they take, as measured. Then they rest, since a scene that moves now may
 * stand still later. */
#define DRAFT_REST 16
#define DRAFT_LEAST 6 /* tokens that are worth a pass of their own */

static bool
may_draft(const struct child_question *question, uint64_t hash)
{
	/* A pass over many tokens rounds otherwise than one token at a time: where two words are as likely as each other,
	 * the other one may come. Greedy answers must not depend on what was asked before. */
	if ((question->flags & PROTO_DESCRIBE_NO_DRAFT) != 0 || question->temperature == 0.f ||
	    question->task != PROTO_TASK_TEXT || engine.draft_question != hash || engine.draft_count < DRAFT_LEAST)
		return false;
	if (engine.draft_rest > 0 && --engine.draft_rest > 0)
		return false;
	return true;
}

/* Back to where `kept` tokens of the draft have been evaluated behind `base`. */
static int
keep_of_draft(llama_pos base, size_t kept, size_t state_bytes)
{
	if (!engine.recurrent)
		return lm_cut(&engine, base + (llama_pos)kept) ? 0 : lm_fail(&engine, "the draft cannot be taken back");
	llama_pos frame_position = engine.frame_position;
	if (!lm_restore(&engine, engine.draft_state, state_bytes, base))
		return lm_fail(&engine, "the draft cannot be taken back");
	engine.frame_position = frame_position;
	return lm_eval(&engine, engine.draft, kept, false);
}

/* `tokens` came of a draft in that time: is it worth the next one? */
static void
judge_draft(size_t tokens, uint64_t took_us)
{
	if (engine.token_us > 0.f && took_us > 0)
		engine.draft_worth = 0.5f * engine.draft_worth + 0.5f * (float)tokens * engine.token_us / (float)took_us;
	if (engine.draft_worth < 1.f) {
		engine.draft_rest = DRAFT_REST;
		engine.draft_worth = 1.f;
	}
}

/* `first`, the draft's first token, has been said. Evaluates the whole draft in one pass and says what the model would
 * have said anyway, token by token from its own logits. *last is the token said last, not evaluated yet. */
static int
follow_draft(struct answer *answer, llama_token *last)
{
	llama_pos base = engine.position;
	size_t count = engine.draft_count, i = 0, bytes = 0;
	uint64_t began = clock_us();
	if (engine.recurrent && lm_save(&engine, &engine.draft_state, &engine.draft_room, &bytes) < 0)
		return 0; /* without memory: word by word */
	int error = lm_eval(&engine, engine.draft, count, true);
	if (error < 0)
		return error;
	answer->done->drafted = 1;
	for (;; i++) {
		llama_token token = next_token(&answer->choosing, llama_get_logits_ith(engine.context, (int32_t)i));
		if (token == LLAMA_TOKEN_NULL)
			return lm_fail(&engine, "the model has no word left that it may say");
		if (!say(answer, token))
			break;
		*last = token;
		if (i + 1 == count || token != engine.draft[i + 1])
			break;
		answer->done->drafted++;
	}
	bool whole = answer->over || i + 1 == count;
	error = whole ? 0 : keep_of_draft(base, i + 1, bytes);
	judge_draft(i + 1, clock_us() - began);
	return error;
}

/* A mean over some ten tokens, so that one that the machine held up does not count for much. */
static void
note_token(uint64_t took_us)
{
	float us = (float)took_us;
	engine.token_us = engine.token_us > 0.f ? 0.9f * engine.token_us + 0.1f * us : us;
}

static int
generate(struct answer *answer, bool draft)
{
	int error = 0;
	answer->done->finish = PROTO_FINISH_LENGTH;
	while (!answer->over && error == 0) {
		llama_token token = next_token(&answer->choosing, llama_get_logits_ith(engine.context, -1));
		bool first = answer->done->tokens == 0;
		if (token == LLAMA_TOKEN_NULL)
			return lm_fail(&engine, "the model has no word left that it may say");
		if (!say(answer, token))
			break;
		if (draft && first && token == engine.draft[0])
			error = follow_draft(answer, &token);
		if (error == 0 && lm_cancelled(&engine))
			error = SCRY_E_CANCELLED;
		uint64_t began = clock_us();
		if (error == 0 && !answer->over)
			error = lm_eval(&engine, &token, 1, false);
		if (error == 0 && !answer->over)
			note_token(clock_us() - began);
	}
	return error;
}

/* The answer's last bytes, and what makes it none. */
static int
end_answer(struct answer *answer)
{
	char out[LM_TEXT_OUT];
	if (lm_text_end(&answer->text, out) > 0)
		child_piece(engine.request, out);
	if (answer->choosing.grammar != NULL && answer->done->finish == PROTO_FINISH_LENGTH) {
		snprintf(engine.sentence, PROTO_SENTENCE, "the answer is not complete after %u tokens; allow more",
		         answer->limit);
		return SCRY_E_LIMIT;
	}
	if (answer->text.any)
		return 0;
	str_copy(engine.sentence, PROTO_SENTENCE, "the model ended its answer without a word; ask in other words");
	return SCRY_E_MODEL;
}

static void
keep_draft(const struct answer *answer, uint64_t question)
{
	if (engine.draft_question != question) {
		engine.draft_worth = 1.f;
		engine.draft_rest = 0;
	}
	engine.draft_question = question;
	engine.draft_count = answer->done->tokens < LM_OUTPUTS ? answer->done->tokens : LM_OUTPUTS;
	memcpy(engine.draft, answer->tokens, engine.draft_count * sizeof(engine.draft[0]));
}

/* FNV-1a, 64 bits; http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t
hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static int
caption(const struct child_frame *frame, const struct child_question *question, struct proto_done *done)
{
	struct answer answer = {.done = done, .limit = question->max_tokens > 0 ? question->max_tokens : ANSWER_TOKENS};
	const char *prompt = question->prompt[0] != '\0' ? question->prompt : own_prompt;
	uint64_t hash = hash_of(prompt);
	int error = choosing_init(&answer.choosing, question);
	size_t room = answer.limit + LM_OUTPUTS; /* a draft may be longer than the answer */
	if (error == 0)
		error = lm_prefill(&engine, frame, prompt, LM_OUTPUTS + ANSWER_LEAST, &room, done);
	if (answer.limit > room - LM_OUTPUTS)
		answer.limit = (uint32_t)(room - LM_OUTPUTS);
	uint64_t began = clock_us();
	if (error == 0)
		error = generate(&answer, may_draft(question, hash));
	if (error == 0)
		error = end_answer(&answer);
	if (error == 0 && question->task == PROTO_TASK_TEXT)
		keep_draft(&answer, hash);
	done->generate_us = (uint32_t)(clock_us() - began);
	choosing_end(&answer.choosing);
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
