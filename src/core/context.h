/* context.h - struct scry: one core, its loop, its workers, the requests under way.
 *
 * Made by lib/scry.c for the calls of scry.h. Everything in it runs on the thread that calls into the library, inside
 * uv_run() of its own loop.
 */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <uv.h>

#include "backend/registry.h"
#include "base/log.h"
#include "base/why.h"
#include "engine/engine.h"
#include "eye/eye.h"
#include "host/host.h"
#include "model/files.h"
#include "run/launch.h"
#include "scry.h"

struct request;

struct scry {
	uv_loop_t loop;
	int poll_fd;  /* epoll of the loop's own descriptor and of timer_fd; what scry_fd() hands out */
	int timer_fd; /* stands at the loop's next timer while the caller is elsewhere */
	struct log log;
	scry_log_fn log_fn;
	void *log_user;
	struct launch launch;
	struct files_places places;
	struct host host;
	unsigned threads;
	uint64_t idle_us;            /* setting SCRY_IDLE_UNLOAD; UINT64_MAX - 1: not set, JOBS_KEEP_FOREVER: never */
	unsigned limit_mb;           /* setting SCRY_MEMORY_LIMIT_MB; 0: none */
	unsigned hello_ms, ready_ms; /* settings SCRY_WORKER_START_MS, SCRY_MODEL_LOAD_MS */
	char *backend;               /* the core's default; NULL: automatic */
	struct eye *eye;             /* made with the first picture */
	struct engine *engines[BACKEND_COUNT];
	char eye_path[LAUNCH_PATH];
	char engine_paths[BACKEND_COUNT][LAUNCH_PATH];
	const char *engine_env[4]; /* NULL at the end; the strings are env_text */
	const char *llama_env[3];  /* the same for scry-llama */
	char *gguf, *mmproj;       /* files of backend gguf; NULL: settings */
	char env_text[4][128];
	struct pressure *pressure; /* watched once a model that idles can be loaded; NULL: not */
	uv_timer_t later;          /* runs what callers asked for outside of the loop: cancels */
	struct request *requests;
	unsigned request_count;
	bool turning; /* inside of the loop: a callback of ours must not run it again */
	bool closing;
	struct why why;                   /* the sentence of the last failed call */
	struct why row_why[BACKEND_ROWS]; /* what scry_backends() handed out */
};

int context_create(const struct scry_options *options, struct scry **out);
void context_destroy(struct scry *scry);

/* Collects what backend_select() and backend_available() ask. Looks at files, starts nothing. */
void context_facts(const struct scry *scry, struct backend_facts *out);

/* Writes where the model (or else the mmproj) of a backend is; false when it is nowhere. */
bool context_model(const struct scry *scry, enum backend_id id, bool mmproj, char path[FILES_PATH]);

/* Whether a backend's model may be loaded now: its files can be read and there is memory for them. 0 when it is loaded
 * already. SCRY_E_MODEL or SCRY_E_UNAVAILABLE with `why`. */
int context_admit(struct scry *scry, enum backend_id id, struct why *why);
/* How long the model of a backend is kept after a question, microseconds: what the query says, else the setting. */
uint64_t context_keep(const struct scry *scry, enum backend_id id, const struct scry_query *query);

/* The eye, and the engine of a backend, made when first asked for. 0 or an error with `why`. */
int context_eye(struct scry *scry, struct eye **out, struct why *why);
int context_engine(struct scry *scry, enum backend_id id, struct engine **out, struct why *why);

/* Marks a request as cancelled; the loop ends it. */
void context_cancel(struct request *request);

/* Runs the loop: what is due, and when nothing is, up to `timeout_ms` until something is. */
void context_run(struct scry *scry, int timeout_ms);
/* Brings epoll and timer_fd up to date before control goes back to the caller. */
void context_settle(struct scry *scry);

#endif
