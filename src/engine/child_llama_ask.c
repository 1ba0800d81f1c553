/* child_llama_ask.c - answers from probabilities, without decoding a token; see child_llama.h. Runs in the worker.
 *
 * One pass over the prompt gives the probability of every first token. Spellings of several tokens need one more pass
 * each, unless their first token already says that they can matter no more.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/child_llama.h"
#include "engine/lm_choice.h"
#include "scry.h"
#include "wire/child.h"

/* A spelling whose first token is this much less likely than the best one (log 1e-4) is left at that. */
#define WORTH_A_PASS (-9.2)

/* log p of each token at one position: the normaliser over the whole vocabulary. */
static double
log_sum(const float *logits, int32_t count)
{
	float most = logits[0];
	for (int32_t i = 1; i < count; i++)
		most = logits[i] > most ? logits[i] : most;
	double sum = exp((double)logits[0] - most);
	for (int32_t i = 1; i < count; i++)
		sum += exp((double)logits[i] - most);
	return most + log(sum);
}

struct spelling {
	struct lm_choice *choice;
	llama_token tokens[LM_SPELLING_TOKENS];
	int32_t count;
	double first; /* log p of the first token */
};

struct asking {
	struct lm_choice choices[LM_CHOICES];
	struct spelling spellings[LM_CHOICES * LM_SPELLINGS];
	unsigned choice_count, spelling_count;
	double best; /* of the first tokens */
};

static void
add_spelling(struct lm_engine *engine, struct asking *asking, struct lm_choice *choice, const char *text)
{
	struct spelling *spelling = &asking->spellings[asking->spelling_count];
	spelling->choice = choice;
	spelling->count =
		llama_tokenize(engine->vocab, text, (int32_t)strlen(text), spelling->tokens, LM_SPELLING_TOKENS, false, false);
	if (spelling->count <= 0)
		return;
	/* Two spellings can be the same tokens: some vocabularies put the space there themselves. */
	for (unsigned i = 0; i < asking->spelling_count; i++) {
		const struct spelling *other = &asking->spellings[i];
		if (other->count == spelling->count &&
		    memcmp(other->tokens, spelling->tokens, (size_t)spelling->count * sizeof(llama_token)) == 0)
			return;
	}
	asking->spelling_count++;
}

static void
score_first(struct lm_engine *engine, struct asking *asking)
{
	int32_t vocabulary = llama_vocab_n_tokens(engine->vocab);
	const float *logits = llama_get_logits_ith(engine->context, -1);
	double sum = log_sum(logits, vocabulary);
	asking->best = -INFINITY;
	for (unsigned i = 0; i < asking->spelling_count; i++) {
		struct spelling *spelling = &asking->spellings[i];
		spelling->first = logits[spelling->tokens[0]] - sum;
		asking->best = spelling->first > asking->best ? spelling->first : asking->best;
		if (spelling->count == 1)
			spelling->choice->log_p = lm_log_add(spelling->choice->log_p, spelling->first);
	}
}

/* The rest of a spelling behind its first token; the sequence is put back by the caller. */
static int
score_rest(struct lm_engine *engine, struct spelling *spelling)
{
	int32_t vocabulary = llama_vocab_n_tokens(engine->vocab);
	double log_p = spelling->first;
	int error = lm_eval(engine, spelling->tokens, (size_t)spelling->count - 1, true);
	if (error < 0)
		return error;
	for (int32_t i = 0; i + 1 < spelling->count; i++) {
		const float *logits = llama_get_logits_ith(engine->context, i);
		log_p += logits[spelling->tokens[i + 1]] - log_sum(logits, vocabulary);
	}
	spelling->choice->log_p = lm_log_add(spelling->choice->log_p, log_p);
	return 0;
}

static bool
worth_a_pass(const struct asking *asking, const struct spelling *spelling)
{
	return spelling->count > 1 && spelling->first >= asking->best + WORTH_A_PASS;
}

/* Each from the same place: the end of the prompt. */
static int
score_long(struct lm_engine *engine, struct asking *asking)
{
	llama_pos end = engine->position;
	uint8_t *state = NULL;
	size_t room = 0, bytes = 0;
	int error = 0;
	for (unsigned i = 0; i < asking->spelling_count && error == 0; i++) {
		if (!worth_a_pass(asking, &asking->spellings[i]))
			continue;
		if (engine->recurrent && bytes == 0 && lm_save(engine, &state, &room, &bytes) < 0)
			error = SCRY_E_MEMORY;
		if (error == 0)
			error = score_rest(engine, &asking->spellings[i]);
		if (engine->recurrent && error == 0) {
			/* Which frame stands in front of the question has not changed. */
			llama_pos frame_position = engine->frame_position;
			if (!lm_restore(engine, state, bytes, end))
				error = lm_fail(engine, "the model's state cannot be put back");
			else
				engine->frame_position = frame_position;
		} else if (error == 0) {
			llama_memory_seq_rm(engine->memory, 0, end, -1);
			engine->position = end;
		}
	}
	free(state);
	return error;
}

static void
tell(struct lm_engine *engine, const struct asking *asking)
{
	const struct lm_choice *best = &asking->choices[0];
	for (unsigned i = 0; i < asking->choice_count; i++) {
		const struct lm_choice *choice = &asking->choices[i];
		child_item(engine->request, PROTO_ITEM_LABEL, (float)choice->p, choice->text, NULL);
		best = choice->p > best->p ? choice : best;
	}
	child_piece(engine->request, best->text);
}

int
lm_ask(struct lm_engine *engine, const struct child_frame *frame, const struct child_question *question,
       struct proto_done *done)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	int error = asking == NULL ? SCRY_E_MEMORY : 0;
	if (error == 0)
		asking->choice_count = lm_choices(question->extra, asking->choices);
	if (error == 0 && asking->choice_count == 0) {
		str_copy(engine->sentence, PROTO_SENTENCE, "the answers to choose from are not two or more different lines");
		error = SCRY_E_ARGUMENT;
	}
	size_t room = LM_SPELLING_TOKENS;
	if (error == 0)
		error = lm_prefill(engine, frame, question->prompt, room, &room, done);
	uint64_t began = clock_us();
	for (unsigned i = 0; error == 0 && i < asking->choice_count; i++) {
		for (unsigned k = 0; k < asking->choices[i].spelling_count; k++)
			add_spelling(engine, asking, &asking->choices[i], asking->choices[i].spellings[k]);
	}
	if (error == 0) {
		score_first(engine, asking);
		error = score_long(engine, asking);
	}
	if (error == 0) {
		lm_choices_normalise(asking->choices, asking->choice_count);
		tell(engine, asking);
		done->generate_us = (uint32_t)(clock_us() - began);
	}
	free(asking);
	return error;
}
