/* jobs.h - a worker and the jobs that wait for it: first come, first served, one at a time, each with a deadline.
 *
 * The eye and each engine of the core are one `struct jobs` with their own messages. A job is embedded in its owner's
 * request and belongs to the queue from jobs_offer() until its `end` has been called, exactly once, whatever happens:
 * the answer, the worker's own refusal, its death, the deadline, or a cancel. Nothing blocks.
 */
#ifndef RUN_JOBS_H
#define RUN_JOBS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "run/worker.h"

#define JOBS_WAITING 256 /* jobs that may wait for one worker; more are refused as busy */
#define JOBS_KEEP_FOREVER UINT64_MAX
#define JOBS_GRACE_MS 1000 /* from a cancel (or a passed deadline) to the end of a worker that does not react */

struct jobs;
struct job;

enum job_step { JOB_MORE, JOB_OVER };

struct job_ops {
	/* Sends the request; the worker is READY. 0; or a negative scry_error with `why`, which ends the job. */
	int (*send)(struct job *job, struct worker *worker, struct why *why);
	/* A message of this job but FAILED. A step, or -EPROTO: the worker lies. */
	int (*message)(struct job *job, struct msg *msg);
	/* The job is over: 0, or a negative scry_error and its sentence. The job may be freed in here. */
	void (*end)(struct job *job, int error, const char *sentence);
};

struct job {
	struct job *prev, *next; /* of the waiting list */
	const struct job_ops *ops;
	uint64_t deadline_us;
	uint32_t id; /* number on the wire; set by jobs_offer() */
	uint64_t offered_us, sent_us;
	uint64_t start_us; /* part of the wait during which the worker was being started */
};

/* What the owner of the worker adds. Each may be NULL. */
struct jobs_ops {
	int (*on_hello)(void *user, struct worker *worker, struct why *why); /* FILE and RING messages */
	void (*on_ready)(void *user, const struct proto_ready *ready);
	bool (*may_send)(void *user);                 /* capacity: false keeps jobs waiting until jobs_poke() */
	int (*on_stray)(void *user, struct msg *msg); /* a last message of a job that had ended before */
	void (*on_gone)(void *user);                  /* the process is gone; before the jobs' ends */
};

int jobs_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, const struct jobs_ops *ops,
                void *user, struct jobs **out);
/* Ends every job with SCRY_E_CANCELLED, kills the worker, frees. The loop must run on until handles are closed. */
void jobs_destroy(struct jobs *jobs);

/* Queues a job (ops and deadline_us set) and starts the worker when needed. 0: `end` will be called, never from in
 * here. SCRY_E_BUSY, or worker_need()'s error when the worker rests after failures: it will not, and `why` says so. */
int jobs_offer(struct jobs *jobs, struct job *job, struct why *why);
/* Ends a job with `error`, calling its `end` from in here; a job under way is cancelled in the worker. */
void jobs_cancel(struct jobs *jobs, struct job *job, int error, const char *sentence);
/* Capacity may be free again. */
void jobs_poke(struct jobs *jobs);

/* How long a worker without anything to do is kept, from its last job on; 0 ends it at once. JOBS_KEEP_FOREVER at first. A
 * worker that was ended starts again with the next job. */
void jobs_keep(struct jobs *jobs, uint64_t keep_us);
/* A job is on its way that has not been offered yet: the worker is not idle until as many were let go. */
void jobs_hold(struct jobs *jobs);
void jobs_let_go(struct jobs *jobs);
/* Ends the worker now when it has nothing to do. True when there was one to end. */
bool jobs_unload(struct jobs *jobs);

/* Starts the worker without a job, for status. As worker_need(). */
int jobs_start(struct jobs *jobs, struct why *why);
struct worker *jobs_worker(struct jobs *jobs);

#endif
