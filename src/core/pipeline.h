/* pipeline.h - THE MAP: one picture's way through the core. Each stage calls the next one from here, and only from here.
 *
 *     pipeline_submit        open the input; the eye and the engine start side by side
 *       -> eye_decode        (worker scry-eye: decode, scale, sign, hash into a slot)
 *     pipeline_on_frame      the frame stands in its slot
 *       -> engine_describe   (worker scry-lite, ...: look, read, say)
 *     pipeline_on_piece, pipeline_on_item      the answer as it is made
 *     pipeline_on_caption    the answer is complete, or it failed
 *     pipeline_on_frame_done the slot goes back; the one place that releases
 *     pipeline_finish        the caller's callback, exactly once
 */
#ifndef CORE_PIPELINE_H
#define CORE_PIPELINE_H

#include "core/context.h"
#include "core/result.h"

#define PIPELINE_DEADLINE_MS 60000u
#define PIPELINE_DEADLINE_MAX_MS 3600000u
#define PIPELINE_PROMPT_MAX ((size_t)64 << 10) /* bytes of a prompt */
#define PIPELINE_TOKENS_MAX 4096u

enum request_stage { REQUEST_DECODING, REQUEST_DESCRIBING, REQUEST_OVER };

/* One picture under way. Made by pipeline_submit, freed by pipeline_finish. */
struct request {
	struct request *prev, *next; /* of the core's list */
	struct scry *scry;
	enum request_stage stage;
	bool cancelled; /* asked for by scry_cancel(), done by the loop */
	const struct backend *backend;
	struct engine *engine; /* NULL: a backend without one */
	bool holds;            /* the engine's worker is kept for us */
	struct eye_job eye_job;
	struct engine_job engine_job;
	struct eye_frame frame; /* lent to us while has_frame */
	bool has_frame;
	int fd;
	char *name, *prompt, *language;
	char *extra; /* choices, or the grammar of a schema */
	enum proto_task task;
	uint32_t seed;
	float temperature;
	unsigned max_tokens;
	uint32_t flags;
	uint64_t submitted_us, deadline_us;
	struct scry_result *result;
	bool out_of_memory; /* an answer that could not be kept whole is no answer */
	scry_piece_fn piece;
	scry_done_fn done;
	void *user;
};

/* Starts a picture. 0: `done` will be called from the loop, never from in here. Else an error with `why`. */
int pipeline_submit(struct scry *scry, const struct scry_image *image, const struct scry_query *query,
                    scry_piece_fn piece, scry_done_fn done, void *user, struct request **out, struct why *why);

/* The engine's worker need not wait for this request's question any longer. */
void pipeline_let_go(struct request *request);

/* Ends a request with `error`, its callback included. */
void pipeline_cancel(struct request *request, int error, const char *sentence);

#endif
