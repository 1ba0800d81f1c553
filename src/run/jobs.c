/* jobs.c - see jobs.h. The queue is a list; its one timer stands at the earliest deadline. */
#include "run/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "scry.h"

struct jobs {
	uv_loop_t *loop;
	struct worker *worker;
	const struct jobs_ops *ops;
	void *user;
	struct job *waiting;
	unsigned waiting_count;
	struct job *current;
	uint32_t last_id;
	uint32_t orphan; /* number of a job that ended while the worker still works on it; 0: none */
	uint64_t orphan_kill_us;
	uint64_t keep_us; /* how long an idle worker is kept */
	uint64_t idle_since_us;
	unsigned holds;             /* jobs that are on their way */
	uint64_t starting_since_us; /* 0: the worker is not being started */
	uv_timer_t timer;
};

static void advance(struct jobs *jobs);
static void on_deadline(uv_timer_t *timer);

static bool
is_idle(const struct jobs *jobs)
{
	return jobs->current == NULL && jobs->waiting == NULL && jobs->orphan == 0 && jobs->holds == 0 &&
		worker_state(jobs->worker) == WORKER_READY;
}

/* When an idle worker is to end; UINT64_MAX: not. */
static uint64_t
unload_at(const struct jobs *jobs)
{
	return is_idle(jobs) && jobs->keep_us < UINT64_MAX - jobs->idle_since_us ? jobs->idle_since_us + jobs->keep_us :
																			   UINT64_MAX;
}

static void
set_timer(struct jobs *jobs)
{
	uint64_t next = jobs->orphan != 0 ? jobs->orphan_kill_us : UINT64_MAX;
	struct job *job;
	if (unload_at(jobs) < next)
		next = unload_at(jobs);
	if (jobs->current != NULL && jobs->current->deadline_us < next)
		next = jobs->current->deadline_us;
	DL_FOREACH (jobs->waiting, job) {
		if (job->deadline_us < next)
			next = job->deadline_us;
	}
	if (next == UINT64_MAX) {
		uv_timer_stop(&jobs->timer);
		return;
	}
	uint64_t now = clock_us();
	/* Rounded up: a timer that fires early would find nothing due and spin. The loop's own clock stands still
	 * while callbacks run, so it is brought up to date first. */
	uv_update_time(jobs->loop);
	uv_timer_start(&jobs->timer, on_deadline, next > now ? (next - now + 999) / 1000 : 0, 0);
}

static void
take_from_waiting(struct jobs *jobs, struct job *job)
{
	DL_DELETE(jobs->waiting, job);
	jobs->waiting_count--;
}

/* The worker goes on with something nobody waits for: tell it, and give it a moment. */
static void
orphan_current(struct jobs *jobs)
{
	jobs->orphan = jobs->current->id;
	jobs->orphan_kill_us = clock_us() + (uint64_t)JOBS_GRACE_MS * 1000;
	jobs->current = NULL;
	worker_send(jobs->worker, PROTO_CANCEL, jobs->orphan, NULL, 0, -1);
}

void
jobs_cancel(struct jobs *jobs, struct job *job, int error, const char *sentence)
{
	if (job == jobs->current)
		orphan_current(jobs);
	else
		take_from_waiting(jobs, job);
	set_timer(jobs);
	job->ops->end(job, error, sentence);
}

static void
miss_deadline(struct jobs *jobs, struct job *job)
{
	struct worker_info info;
	struct why why;
	worker_info(jobs->worker, &info);
	if (job == jobs->current)
		why_set(&why, 0, "the deadline passed while the worker was at it");
	else if (info.state == WORKER_BUSY)
		why_set(&why, 0, "the deadline passed while waiting behind other requests");
	else
		why_set(&why, 0, "the deadline passed while the worker was %s%s%s", worker_state_name(info.state),
		        info.last_words[0] != '\0' ? "; before: " : "", info.last_words);
	jobs_cancel(jobs, job, SCRY_E_TIMEOUT, why.text);
}

/* A waiting job whose time is up. Looked for anew after each, since an `end` may offer or cancel others. */
static struct job *
first_due(struct jobs *jobs, uint64_t now)
{
	struct job *job;
	DL_FOREACH (jobs->waiting, job) {
		if (job->deadline_us <= now)
			return job;
	}
	return NULL;
}

static void
on_deadline(uv_timer_t *timer)
{
	struct jobs *jobs = timer->data;
	struct job *job;
	worker_catch_up(jobs->worker);
	uint64_t now = clock_us();
	if (jobs->orphan != 0 && jobs->orphan_kill_us <= now) {
		jobs->orphan = 0;
		worker_kill(jobs->worker, "a worker hung in a request that was over and was killed");
	}
	if (jobs->current != NULL && jobs->current->deadline_us <= now)
		miss_deadline(jobs, jobs->current);
	while ((job = first_due(jobs, now)) != NULL)
		miss_deadline(jobs, job);
	if (unload_at(jobs) <= now)
		worker_stop(jobs->worker);
	advance(jobs);
}

/* Notes how long the waiting jobs have waited for a start that is over now. */
static void
account_start(struct jobs *jobs)
{
	uint64_t now = clock_us();
	struct job *job;
	if (jobs->starting_since_us == 0)
		return;
	DL_FOREACH (jobs->waiting, job) {
		uint64_t since = job->offered_us > jobs->starting_since_us ? job->offered_us : jobs->starting_since_us;
		job->start_us += now - since;
	}
	jobs->starting_since_us = 0;
}

static void
need_worker(struct jobs *jobs, struct why *why, int *error)
{
	enum worker_state state = worker_state(jobs->worker);
	if (state != WORKER_READY && state != WORKER_BUSY && jobs->starting_since_us == 0)
		jobs->starting_since_us = clock_us();
	*error = worker_need(jobs->worker, why);
	if (*error < 0)
		jobs->starting_since_us = 0;
}

/* Gives the worker its next job, when both are there. */
static void
advance(struct jobs *jobs)
{
	while (jobs->waiting != NULL && jobs->current == NULL && worker_state(jobs->worker) == WORKER_READY) {
		struct why why = {""};
		struct job *job = jobs->waiting;
		if (jobs->ops->may_send != NULL && !jobs->ops->may_send(jobs->user))
			break;
		take_from_waiting(jobs, job);
		jobs->current = job;
		job->sent_us = clock_us();
		worker_begin(jobs->worker);
		int error = job->ops->send(job, jobs->worker, &why);
		/* A send that fails because the worker is gone ends with its death, by on_gone. */
		if (error == 0 || error == SCRY_E_WORKER)
			break;
		jobs->current = NULL;
		worker_end(jobs->worker);
		job->ops->end(job, error, why.text);
	}
	set_timer(jobs);
}

void
jobs_poke(struct jobs *jobs)
{
	advance(jobs);
}

/* --- the worker's callbacks ----------------------------------------------------------------------------- */

static int
on_hello(void *user, struct why *why)
{
	struct jobs *jobs = user;
	return jobs->ops->on_hello == NULL ? 0 : jobs->ops->on_hello(jobs->user, jobs->worker, why);
}

static void
on_ready(void *user, const struct proto_ready *ready)
{
	struct jobs *jobs = user;
	account_start(jobs);
	jobs->idle_since_us = clock_us();
	if (jobs->ops->on_ready != NULL)
		jobs->ops->on_ready(jobs->user, ready);
	advance(jobs);
}

static bool
is_last(unsigned type)
{
	return type == PROTO_FRAME || type == PROTO_ENCODED || type == PROTO_DONE || type == PROTO_PROBED ||
		type == PROTO_FAILED;
}

static int
stray(struct jobs *jobs, struct msg *msg)
{
	if (!is_last(msg->head.type))
		return 0;
	int error = jobs->ops->on_stray == NULL ? 0 : jobs->ops->on_stray(jobs->user, msg);
	jobs->orphan = 0;
	jobs->idle_since_us = clock_us();
	worker_end(jobs->worker);
	advance(jobs);
	return error;
}

static int
on_message(void *user, struct msg *msg)
{
	struct jobs *jobs = user;
	struct job *job = jobs->current;
	uint32_t id = msg->head.request;
	if (id != 0 && id == jobs->orphan)
		return stray(jobs, msg);
	if (job == NULL || id != job->id)
		return -EPROTO;
	int step = JOB_OVER, error = 0;
	struct why why = {""};
	if (msg->head.type == PROTO_FAILED) {
		error = worker_error_of(msg->body.failed.error);
		why_set(&why, 0, "%s", msg->body.failed.sentence);
	} else {
		step = job->ops->message(job, msg);
	}
	if (step != JOB_OVER)
		return step;
	jobs->current = NULL;
	jobs->idle_since_us = clock_us();
	worker_end(jobs->worker);
	job->ops->end(job, error, why.text);
	advance(jobs);
	return 0;
}

/* Ends all that wait now: there is no worker to wait for. Those that an `end` offers meanwhile stay. */
static void
fail_waiting(struct jobs *jobs, int error, const char *sentence)
{
	for (unsigned left = jobs->waiting_count; left > 0 && jobs->waiting != NULL; left--) {
		struct job *job = jobs->waiting;
		take_from_waiting(jobs, job);
		job->ops->end(job, error, sentence);
	}
}

/* One that merely died is started again for those who wait; one that cannot start would be so again. */
static bool
start_again(struct jobs *jobs, int error)
{
	struct why why;
	if (error != SCRY_E_WORKER || jobs->waiting == NULL)
		return false;
	need_worker(jobs, &why, &error);
	return error == 0;
}

static void
on_gone(void *user, int error, const char *sentence)
{
	struct jobs *jobs = user;
	struct job *victim = jobs->current;
	account_start(jobs);
	jobs->current = NULL;
	jobs->orphan = 0;
	if (jobs->ops->on_gone != NULL)
		jobs->ops->on_gone(jobs->user);
	if (!start_again(jobs, error))
		fail_waiting(jobs, error, sentence);
	if (victim != NULL)
		victim->ops->end(victim, error, sentence);
	set_timer(jobs);
}

static const struct worker_ops worker_ops = {
	.on_hello = on_hello, .on_ready = on_ready, .on_message = on_message, .on_gone = on_gone};

/* --- what the owner calls ------------------------------------------------------------------------------- */

int
jobs_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, const struct jobs_ops *ops,
            void *user, struct jobs **out)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	if (jobs == NULL)
		return SCRY_E_MEMORY;
	jobs->loop = loop;
	jobs->ops = ops;
	jobs->user = user;
	jobs->keep_us = JOBS_KEEP_FOREVER;
	int error = worker_create(loop, log, spec, &worker_ops, jobs, &jobs->worker);
	if (error < 0) {
		free(jobs);
		return error;
	}
	uv_timer_init(loop, &jobs->timer);
	jobs->timer.data = jobs;
	*out = jobs;
	return 0;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
jobs_destroy(struct jobs *jobs)
{
	static const char closed[] = "the core was closed";
	if (jobs == NULL)
		return;
	struct job *current = jobs->current;
	worker_destroy(jobs->worker);
	jobs->current = NULL;
	if (current != NULL)
		current->ops->end(current, SCRY_E_CANCELLED, closed);
	fail_waiting(jobs, SCRY_E_CANCELLED, closed);
	uv_close((uv_handle_t *)&jobs->timer, on_timer_closed);
}

int
jobs_offer(struct jobs *jobs, struct job *job, struct why *why)
{
	int error = 0;
	if (jobs->waiting_count >= JOBS_WAITING)
		return why_set(why, SCRY_E_BUSY, "%u requests are waiting already; try again later", jobs->waiting_count);
	need_worker(jobs, why, &error);
	if (error < 0)
		return error;
	/* 0 means "the worker as a whole" on the wire. */
	job->id = ++jobs->last_id == 0 ? ++jobs->last_id : jobs->last_id;
	job->offered_us = clock_us();
	job->sent_us = job->start_us = 0;
	DL_APPEND(jobs->waiting, job);
	jobs->waiting_count++;
	/* Sent from the loop, so that `end` never runs inside the caller's call. */
	uv_timer_start(&jobs->timer, on_deadline, 0, 0);
	return 0;
}

void
jobs_keep(struct jobs *jobs, uint64_t keep_us)
{
	jobs->keep_us = keep_us;
	set_timer(jobs);
}

void
jobs_hold(struct jobs *jobs)
{
	jobs->holds++;
}

void
jobs_let_go(struct jobs *jobs)
{
	jobs->holds--;
	set_timer(jobs);
}

bool
jobs_unload(struct jobs *jobs)
{
	if (!is_idle(jobs))
		return false;
	worker_stop(jobs->worker);
	return true;
}

int
jobs_start(struct jobs *jobs, struct why *why)
{
	int error;
	need_worker(jobs, why, &error);
	return error;
}

struct worker *
jobs_worker(struct jobs *jobs)
{
	return jobs->worker;
}
