/* engine.h - the core's half of an engine worker (scry-lite, ...): hands it frames and questions, gets answers back.
 *
 * One engine per program that a backend uses. It opens the model's files and passes the descriptors at each start; the
 * worker has no other access. Runs on the core's loop and never blocks; what the worker says is checked here.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "run/jobs.h"
#include "wire/slots.h"

#define ENGINE_FILES 160 /* the three models and every language that Debian packages */
#define ENGINE_PATH 512
#define ENGINE_TEXT_MAX ((size_t)256 << 10) /* bytes of one answer */

/* A file the engine gets. A missing one is left out: the engine says what it can do without it. */
struct engine_file {
	enum proto_file_kind kind;
	char path[ENGINE_PATH];
	char name[PROTO_NAME]; /* what the worker calls it in its sentences; for tessdata the language */
};

struct engine_setup {
	struct worker_spec spec;
	unsigned file_count;
	struct engine_file files[ENGINE_FILES];
	uint32_t ring_number;
	const struct slots *ring; /* where the frames stand; borrowed, outlives the engine */
};

struct engine;

/* One question about a frame; embedded in the owner's request. Fill the fields above the callbacks. */
struct engine_job {
	uint32_t ring, slot, generation;
	uint32_t flags; /* enum proto_describe_flags */
	uint32_t max_tokens;
	const char *prompt; /* NULL or UTF-8, borrowed until `done` */
	uint32_t task;      /* enum proto_task */
	const char *extra;  /* NULL or what `task` needs, UTF-8, borrowed until `done` */
	uint32_t seed;
	float temperature;    /* as in struct proto_describe */
	const char *language; /* NULL or Tesseract languages, borrowed until `done` */
	void (*piece)(struct engine_job *job, const char *text, size_t bytes);
	void (*item)(struct engine_job *job, const struct proto_item *item);
	/* 0 and what the engine reported; or a negative scry_error and its sentence. */
	void (*done)(struct engine_job *job, int error, const char *sentence, const struct proto_done *done);
	struct job job; /* set deadline_us; the rest is the engine's */
	size_t text_bytes;
	unsigned items;
	struct proto_done report;
};

int engine_create(uv_loop_t *loop, const struct log *log, const struct engine_setup *setup, struct engine **out);
void engine_destroy(struct engine *engine);

/* Queues a question; errors as jobs_offer(). */
int engine_describe(struct engine *engine, struct engine_job *job, struct why *why);
void engine_cancel(struct engine *engine, struct engine_job *job, int error, const char *sentence);

uint32_t engine_parts(const struct engine *engine); /* enum proto_part, as READY said */
struct jobs *engine_jobs(struct engine *engine);

#endif
