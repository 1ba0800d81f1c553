/* child_llama.h - what the files of scry-llama share: one model, one sequence, and the request under way.
 *
 * child_llama.c talks to the loop (child_main.c) and says captions, child_llama_load.c loads, child_llama_frame.c brings a
 * frame into the model's memory, child_llama_ask.c answers from probabilities. These are the only files that know
 * llama.cpp. All of it runs in the worker's one main thread; the libraries' own threads never come here.
 */
#ifndef ENGINE_CHILD_LLAMA_H
#define ENGINE_CHILD_LLAMA_H

#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include "engine/child_engine.h"
#include "engine/lm_cache.h"

#define LM_BATCH 512        /* tokens of one pass, as llama-server's -ub */
#define LM_CONTEXT_STEP 256 /* contexts grow by whole steps */
#define LM_OUTPUTS 48       /* positions of one pass whose logits are wanted at most */
#define LM_HEAD_TOKENS 64   /* constant text before the image; longer ones are evaluated each time */
#define LM_CACHE_BYTES ((size_t)64 << 20)

struct lm_engine {
	struct llama_model *model;
	const struct llama_vocab *vocab;
	struct mtmd_context *mtmd;
	struct llama_context *context; /* made for the first question, and anew when one does not fit */
	llama_memory_t memory;
	const char *chat_template; /* NULL: the model has none */
	bool recurrent;            /* its state cannot be cut back, only restored whole */
	unsigned threads;
	char error[PROTO_SENTENCE]; /* what the libraries said last as an error */

	/* What stands in the context's sequence, up to where it can be used again. */
	uint64_t frame_key;       /* of the frame evaluated last */
	llama_pos frame_position; /* right after it; 0: no frame */
	llama_token head[LM_HEAD_TOKENS];
	size_t head_count;
	uint8_t *head_state; /* of the sequence after the head, for recurrent models; NULL: none */
	size_t head_state_bytes;

	/* The last answer, as a draft of the next one to the same question. */
	llama_token draft[LM_OUTPUTS];
	size_t draft_count;
	uint64_t draft_question; /* hash of its question */
	float draft_worth;       /* time that drafts saved to time that they took, of late */
	float token_us;          /* what one token alone takes, of late; 0: not known */
	unsigned draft_rest;     /* answers until drafts are tried again */
	uint8_t *draft_state;    /* the state before a draft, for recurrent models */
	size_t draft_room;

	struct lm_cache cache;

	/* The request under way. */
	uint32_t request;
	bool cancelled;
	uint64_t looked_us; /* when the socket was last looked at for a cancel */
	unsigned nodes;     /* of the encoder's graph since the last look */
	llama_pos position; /* the next token's */
	char *sentence;     /* where an error is told, PROTO_SENTENCE bytes */
};

/* --- child_llama_load.c --- */

/* Finds the computing backends beside libggml. Before the sandbox. */
void lm_prepare(void);
/* Loads model and mmproj. 0 or a negative scry_error with `sentence`. */
int lm_load(struct lm_engine *engine, const struct child_setup *setup, struct proto_ready *ready, char *sentence);
/* Makes sure that `tokens` fit into the context. What stood in it is gone when it had to be made anew. */
int lm_fit(struct lm_engine *engine, size_t tokens);

/* --- child_llama_frame.c --- */

/* The chat prompt around one image, as pieces for the model. NULL with the engine's sentence. */
struct mtmd_input_chunks *lm_pieces(struct lm_engine *engine, const struct child_frame *frame, const char *prompt,
                                    bool pixels);
/* Brings everything up to the last token of the prompt into the sequence; the logits of that token are there then.
 * *answer more tokens will have room; it becomes less where the model was made for fewer, but not less than `least`. Fills the parts of `done` that it knows. 0 or a negative scry_error. */
int lm_prefill(struct lm_engine *engine, const struct child_frame *frame, const char *prompt, size_t least,
               size_t *answer, struct proto_done *done);
/* Evaluates tokens behind what is there; logits of the last one, or with `all` of every one (at most LM_OUTPUTS). */
int lm_eval(struct lm_engine *engine, const llama_token *tokens, size_t count, bool all);
/* Forgets the sequence. */
void lm_forget(struct lm_engine *engine);
/* Copies the sequence's state into *state (grown as needed), and back. 0 or SCRY_E_MEMORY. */
int lm_save(struct lm_engine *engine, uint8_t **state, size_t *room, size_t *bytes);
bool lm_restore(struct lm_engine *engine, const uint8_t *state, size_t bytes, llama_pos position);

/* Back to an earlier position, for models whose memory can be cut: attention without recurrence. */
bool lm_cut(struct lm_engine *engine, llama_pos position);

/* --- child_llama_ask.c --- */

/* A probability for each answer in `lines`, as items, and the likeliest as text. 0 or a negative scry_error. */
int lm_ask(struct lm_engine *engine, const struct child_frame *frame, const struct child_question *question,
           struct proto_done *done);

/* --- child_llama.c --- */

/* True once the core has cancelled the request; looks at the socket every few milliseconds. */
bool lm_cancelled(struct lm_engine *engine);
/* SCRY_E_CANCELLED when it was that, else SCRY_E_MODEL with the sentence and the libraries' last error. */
int lm_fail(struct lm_engine *engine, const char *what);

#endif
