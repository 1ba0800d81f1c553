/* worker.c - the life of a worker process as a state machine on the core's loop; see worker.h.
 *
 * Two objects: struct worker is the place, struct process one incarnation with its descriptors and uv handles. A process
 * leaves its worker when it has been reaped, and frees itself once its handles are closed, so a restart never waits
 * for libuv. All deaths, asked for or not, end in process_reaped().
 */
#include "run/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "run/spawn.h"
#include "run/words.h"
#include "scry.h"

#define MESSAGES_A_TURN 64 /* read from one worker before the loop looks at others */
#define MESSAGES_LEFT 4096 /* read from one that is dead; its socket holds far fewer */

struct process {
	struct worker *worker; /* NULL once it has left */
	struct spawn_child child;
	uv_poll_t socket, errors, exit;
	unsigned open_handles;
	bool hello;             /* HELLO has arrived */
	bool stopped;           /* we asked it to end */
	bool pinged;            /* and no PONG yet */
	char reason[WHY_BYTES]; /* why it is being killed, or what it said itself; "" when it died on its own */
	int error;              /* the code that goes with `reason` */
	struct words words;
};

struct worker {
	uv_loop_t *loop;
	const struct log *log;
	struct worker_spec spec;
	const struct worker_ops *ops;
	void *user;
	enum worker_state state;
	struct process *process;
	uv_timer_t timer;     /* handshake, ping, stop or back-off, whatever the state waits for */
	bool needed;          /* start again after the back-off */
	unsigned failures;    /* starts in a row that came to nothing */
	int last_error;       /* what the last of them was reported as */
	uint64_t retry_at_us; /* FAILED: not before */
	struct worker_info info;
};

static void on_timer(uv_timer_t *timer);

const char *
worker_state_name(enum worker_state state)
{
	static const char *const names[] = {"IDLE", "STARTING", "READY", "BUSY", "DRAINING", "DIED", "BACKOFF", "FAILED"};
	return names[state];
}

static void
set_state(struct worker *worker, enum worker_state state, unsigned timeout_ms)
{
	worker->state = state;
	if (timeout_ms > 0)
		uv_timer_start(&worker->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&worker->timer);
}

/* --- the process's end ---------------------------------------------------------------------------------- */

static void
on_handle_closed(uv_handle_t *handle)
{
	struct process *process = handle->data;
	if (--process->open_handles > 0)
		return;
	fd_close(&process->child.socket);
	fd_close(&process->child.errors);
	fd_close(&process->child.pidfd);
	free(process);
}

static void
process_close(struct process *process)
{
	process->worker = NULL;
	uv_close((uv_handle_t *)&process->socket, on_handle_closed);
	uv_close((uv_handle_t *)&process->errors, on_handle_closed);
	uv_close((uv_handle_t *)&process->exit, on_handle_closed);
}

static void
process_kill(struct process *process, int error, const char *reason)
{
	if (process->reason[0] == '\0' && !process->stopped) {
		process->error = error;
		str_copy(process->reason, sizeof(process->reason), reason);
	}
	spawn_kill(&process->child);
	/* Nothing it may still say counts; its end is seen by the pidfd. */
	uv_poll_stop(&process->socket);
	if (process->worker != NULL)
		set_state(process->worker, WORKER_DIED, 0);
}

static void
keep_words(struct process *process)
{
	if (!words_read(&process->words, process->child.errors))
		uv_poll_stop(&process->errors);
}

/* A start that came to nothing, or a death after good work: when may it be tried again? */
static void
schedule_restart(struct worker *worker)
{
	if (worker->failures >= WORKER_FAILURES) {
		worker->retry_at_us = clock_us() + (uint64_t)WORKER_RETRY_MS * 1000;
		set_state(worker, WORKER_FAILED, 0);
		return;
	}
	set_state(worker, WORKER_BACKOFF, WORKER_BACKOFF_MS << (worker->failures - 1));
}

static void
worker_gone(struct worker *worker, int error, const struct why *why)
{
	worker->info.pid = 0;
	str_copy(worker->info.last_words, sizeof(worker->info.last_words), why->text);
	worker->needed = false;
	worker->last_error = error;
	/* A host that is short of descriptors or processes is not the worker's fault: it is never given up for that. */
	if (error != SCRY_E_SYSTEM || worker->failures + 1 < WORKER_FAILURES)
		worker->failures++;
	schedule_restart(worker);
	log_line(worker->log, LOG_WARN, "%s (%s)", why->text, worker_state_name(worker->state));
	worker->ops->on_gone(worker->user, error, why->text);
}

static void
process_reaped(struct process *process)
{
	struct worker *worker = process->worker;
	struct words_end end = {.name = worker->spec.name, .path = worker->spec.path, .hello = process->hello};
	struct why why;
	/* ECHILD: the host process ignores SIGCHLD and the kernel has reaped it; the end is known, its reason not. */
	if (waitid(P_PIDFD, (id_t)process->child.pidfd, &end.status, WEXITED | WNOHANG) < 0 && errno != ECHILD)
		return;
	keep_words(process);
	if (process->reason[0] != '\0')
		str_copy(why.text, sizeof(why.text), process->reason);
	else
		words_tell(&process->words, &end, &why);
	bool stopped = process->stopped;
	int error = process->error != 0 ? process->error : words_left_at_once(&end) ? SCRY_E_UNAVAILABLE : SCRY_E_WORKER;
	worker->process = NULL;
	process_close(process);
	if (!stopped) {
		worker->info.deaths++;
		worker_gone(worker, error, &why);
		return;
	}
	worker->info.pid = 0;
	set_state(worker, WORKER_IDLE, 0);
	if (worker->needed) {
		struct why again;
		worker->needed = false;
		worker_need(worker, &again);
	}
}

/* --- messages ------------------------------------------------------------------------------------------- */

static int
take_hello(struct process *process, const struct proto_hello *hello)
{
	struct worker *worker = process->worker;
	struct proto_start start = {.threads = worker->spec.threads};
	struct why why;
	if (process->hello)
		return -EPROTO;
	if (hello->role != worker->spec.role || strcmp(hello->program, worker->spec.name) != 0) {
		why_set(&why, 0, "%s is not %s, it calls itself \"%s\"", worker->spec.path, worker->spec.name, hello->program);
		process_kill(process, SCRY_E_UNAVAILABLE, why.text);
		return 0;
	}
	if (strcmp(hello->version, SCRY_VERSION) != 0) {
		why_set(&why, 0, "%s is of version %s and this is %s; install both from one build", worker->spec.path,
		        hello->version, SCRY_VERSION);
		process_kill(process, SCRY_E_UNAVAILABLE, why.text);
		return 0;
	}
	process->hello = true;
	worker->info.sandbox = hello->sandbox;
	worker->info.landlock = hello->landlock;
	set_state(worker, WORKER_STARTING, worker->spec.ready_ms);
	int error = worker->ops->on_hello(worker->user, &why);
	if (error < 0)
		process_kill(process, error, why.text);
	else
		worker_send(worker, PROTO_START, 0, &start, sizeof(start), -1);
	return 0;
}

static int
take_ready(struct process *process, const struct proto_ready *ready)
{
	struct worker *worker = process->worker;
	if (!process->hello || worker->state != WORKER_STARTING || !str_utf8_valid(ready->model, strlen(ready->model)))
		return -EPROTO;
	str_copy(worker->info.model, sizeof(worker->info.model), ready->model);
	worker->info.sandbox |= ready->sandbox & PROTO_SANDBOX_FILES;
	set_state(worker, WORKER_READY, WORKER_PING_MS);
	log_line(worker->log, LOG_INFO, "%s is ready, pid %d", worker->spec.name, worker->info.pid);
	worker->ops->on_ready(worker->user, ready);
	return 0;
}

static int
take_pong(struct process *process)
{
	if (!process->pinged)
		return -EPROTO;
	process->pinged = false;
	if (process->worker->state == WORKER_READY)
		set_state(process->worker, WORKER_READY, WORKER_PING_MS);
	return 0;
}

static int
take_log(struct process *process, const struct proto_log *log)
{
	enum log_level level = log->level <= LOG_DEBUG ? (enum log_level)log->level : LOG_DEBUG;
	if (!str_utf8_valid(log->text, strlen(log->text)))
		return -EPROTO;
	log_line(process->worker->log, level, "%s: %s", process->worker->spec.name, log->text);
	return 0;
}

/* Each message against what this state permits; anything else is nonsense. */
static int
take_message(struct process *process, struct msg *msg)
{
	struct worker *worker = process->worker;
	struct why why;
	if (msg->head.type < PROTO_HELLO)
		return -EPROTO;
	if (worker->state == WORKER_DRAINING) /* it had not read STOP yet, and nobody waits any more */
		return 0;
	switch (msg->head.type) {
	case PROTO_HELLO:
		return take_hello(process, &msg->body.hello);
	case PROTO_READY:
		return take_ready(process, &msg->body.ready);
	case PROTO_PONG:
		return take_pong(process);
	case PROTO_LOG:
		return take_log(process, &msg->body.log);
	case PROTO_FAILED:
		if (worker->state == WORKER_STARTING && msg->head.request == 0) {
			why_set(&why, 0, "%s", msg->body.failed.sentence);
			process_kill(process, worker_error_of(msg->body.failed.error), why.text);
			return 0;
		}
		break;
	default:
		break;
	}
	if (worker->state != WORKER_BUSY && worker->state != WORKER_READY)
		return -EPROTO;
	return worker->ops->on_message(worker->user, msg);
}

/* Reads one message. 1: there may be more; 0: nothing there now, or never again. */
static int
read_message(struct process *process)
{
	struct msg msg;
	struct why why;
	int error = msg_recv(process->child.socket, &msg);
	if (error == -EAGAIN)
		return 0;
	if (error == -EPIPE) { /* the pidfd tells the rest; a worker that only closed its end is no use either */
		uv_poll_stop(&process->socket);
		spawn_kill(&process->child);
		return 0;
	}
	const char *name = error == 0 ? msg_type_name(msg.head.type) : "a message";
	if (error == 0) {
		error = take_message(process, &msg);
		msg_close(&msg);
	}
	if (process->worker->state == WORKER_DIED)
		return 0;
	if (error == 0)
		return 1;
	why_set(&why, 0, "worker %s was dropped: it sent %s that makes no sense here", process->worker->spec.name, name);
	process_kill(process, SCRY_E_WORKER, why.text);
	return 0;
}

static void
read_messages(struct process *process, unsigned limit)
{
	while (limit-- > 0 && process->worker->state != WORKER_DIED && uv_is_active((uv_handle_t *)&process->socket)) {
		if (!read_message(process))
			return;
	}
}

static void
on_socket(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	read_messages(handle->data, MESSAGES_A_TURN);
}

static void
on_errors(uv_poll_t *handle, int status, int events)
{
	struct process *process = handle->data;
	(void)events;
	if (status < 0)
		uv_poll_stop(handle);
	else
		keep_words(process);
}

static void
on_exit_readable(uv_poll_t *handle, int status, int events)
{
	struct process *process = handle->data;
	(void)status;
	(void)events;
	/* What it said before it died counts: an answer may stand in the socket in front of the end. */
	read_messages(process, MESSAGES_LEFT);
	process_reaped(process);
}

/* --- start ---------------------------------------------------------------------------------------------- */

static void
open_handle(struct process *process, uv_poll_t *handle, int fd, uv_poll_cb callback)
{
	/* Fails only for descriptors that epoll cannot watch; these are a socket, a pipe and a pidfd. */
	int error = uv_poll_init(process->worker->loop, handle, fd);
	assert(error == 0);
	(void)error;
	handle->data = process;
	process->open_handles++;
	uv_poll_start(handle, UV_READABLE, callback);
}

static int
start(struct worker *worker, struct why *why)
{
	const struct worker_spec *spec = &worker->spec;
	char *with_loader[] = {(char *)spec->loader, (char *)"--library-path", (char *)spec->library_path,
	                       (char *)spec->path, NULL};
	struct process *process = calloc(1, sizeof(*process));
	if (process == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	int error = spawn_worker(spec->loader != NULL ? with_loader : with_loader + 3, spec->env, &process->child, why);
	if (error < 0) {
		free(process);
		return error;
	}
	process->worker = worker;
	worker->process = process;
	worker->info.pid = process->child.pid;
	worker->info.starts++;
	open_handle(process, &process->socket, process->child.socket, on_socket);
	open_handle(process, &process->errors, process->child.errors, on_errors);
	open_handle(process, &process->exit, process->child.pidfd, on_exit_readable);
	set_state(worker, WORKER_STARTING, spec->hello_ms);
	return 0;
}

/* A start that failed at once is reported from the loop like any other death. */
static void
start_or_report(struct worker *worker)
{
	struct why why;
	int error = start(worker, &why);
	if (error < 0)
		worker_gone(worker, error, &why);
}

static void
handshake_late(struct worker *worker)
{
	struct why why;
	bool hello = worker->process->hello;
	why_set(&why, 0, "worker %s %s within %u ms; %s raises the limit", worker->spec.name,
	        hello ? "did not load its model" : "did not say hello",
	        hello ? worker->spec.ready_ms : worker->spec.hello_ms,
	        hello ? "SCRY_MODEL_LOAD_MS" : "SCRY_WORKER_START_MS");
	process_kill(worker->process, SCRY_E_TIMEOUT, why.text);
}

static void
ping(struct worker *worker)
{
	struct why why;
	if (worker->process->pinged) {
		why_set(&why, 0, "worker %s did not answer a ping within %d ms", worker->spec.name, WORKER_PONG_MS);
		process_kill(worker->process, SCRY_E_WORKER, why.text);
		return;
	}
	worker->process->pinged = true;
	set_state(worker, WORKER_READY, WORKER_PONG_MS);
	worker_send(worker, PROTO_PING, 0, NULL, 0, -1);
}

/* A worker is not late when its answer stands in the socket and it is this core that has not read it: a host calls
 * scry_dispatch() when it likes, and timers come first in a turn of the loop. True when something was read that
 * changed the matter. */
static bool
has_spoken(struct worker *worker)
{
	struct process *process = worker->process;
	enum worker_state before = worker->state;
	if (process == NULL || (before != WORKER_STARTING && before != WORKER_READY))
		return false;
	bool hello = process->hello, pinged = process->pinged;
	read_messages(process, MESSAGES_A_TURN);
	/* With its socket at an end, the pidfd has the rest of the story. */
	return worker->state != before || process->hello != hello || process->pinged != pinged ||
		!uv_is_active((uv_handle_t *)&process->socket);
}

static void
on_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	if (has_spoken(worker))
		return;
	switch (worker->state) {
	case WORKER_STARTING:
		handshake_late(worker);
		break;
	case WORKER_READY:
		ping(worker);
		break;
	case WORKER_DRAINING:
		spawn_kill(&worker->process->child);
		break;
	case WORKER_BACKOFF:
	case WORKER_IDLE: /* worker_need() asked for a start from the loop */
		set_state(worker, WORKER_IDLE, 0);
		if (worker->needed)
			start_or_report(worker);
		break;
	default:
		break;
	}
}

/* --- what the owner calls ------------------------------------------------------------------------------- */

int
worker_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, const struct worker_ops *ops,
              void *user, struct worker **out)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return SCRY_E_MEMORY;
	worker->loop = loop;
	worker->log = log;
	worker->spec = *spec;
	worker->ops = ops;
	worker->user = user;
	uv_timer_init(loop, &worker->timer);
	worker->timer.data = worker;
	*out = worker;
	return 0;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->process != NULL) {
		spawn_end(&worker->process->child);
		process_close(worker->process);
	}
	uv_close((uv_handle_t *)&worker->timer, on_timer_closed);
}

int
worker_need(struct worker *worker, struct why *why)
{
	if (worker->state == WORKER_FAILED) {
		if (clock_us() < worker->retry_at_us)
			return why_set(why, worker->last_error, "worker %s failed %u times in a row and rests for %d s: %s",
			               worker->spec.name, worker->failures, WORKER_RETRY_MS / 1000, worker->info.last_words);
		set_state(worker, WORKER_IDLE, 0);
	}
	worker->needed = true;
	/* From the loop, so that a start that fails at once reaches the owner by on_gone like any other. */
	if (worker->state == WORKER_IDLE && !uv_is_active((uv_handle_t *)&worker->timer))
		uv_timer_start(&worker->timer, on_timer, 0, 0);
	return 0;
}

void
worker_stop(struct worker *worker)
{
	worker->needed = false;
	if (worker->process == NULL) {
		if (worker->state == WORKER_IDLE)
			set_state(worker, WORKER_IDLE, 0);
		return;
	}
	if (worker->process->stopped || worker->state == WORKER_DIED)
		return;
	worker->process->stopped = true;
	set_state(worker, WORKER_DRAINING, WORKER_STOP_MS);
	if (msg_send(worker->process->child.socket, PROTO_STOP, 0, NULL, 0, -1) < 0)
		spawn_kill(&worker->process->child);
}

void
worker_kill(struct worker *worker, const char *reason)
{
	if (worker->process != NULL)
		process_kill(worker->process, SCRY_E_WORKER, reason);
}

int
worker_send(struct worker *worker, enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd)
{
	if (worker->process == NULL || worker->state == WORKER_DIED)
		return SCRY_E_WORKER;
	int error = msg_send(worker->process->child.socket, type, request, body, size, fd);
	if (error == 0)
		return 0;
	/* EPIPE: it is gone, and the pidfd is about to say so. Anything else would leave the request without an answer. */
	if (error == -EAGAIN)
		worker_kill(worker, "a worker does not read its messages");
	else if (error != -EPIPE)
		worker_kill(worker, strerror(-error));
	return SCRY_E_WORKER;
}

void
worker_catch_up(struct worker *worker)
{
	if (worker->process != NULL)
		read_messages(worker->process, MESSAGES_A_TURN);
}

int
worker_error_of(int32_t told)
{
	return told < 0 && told >= SCRY_E_SYSTEM ? told : SCRY_E_WORKER;
}

void
worker_begin(struct worker *worker)
{
	assert(worker->state == WORKER_READY);
	set_state(worker, WORKER_BUSY, 0);
}

void
worker_end(struct worker *worker)
{
	worker->failures = 0;
	if (worker->state == WORKER_BUSY)
		set_state(worker, WORKER_READY, WORKER_PING_MS);
}

enum worker_state
worker_state(const struct worker *worker)
{
	return worker->state;
}

void
worker_info(const struct worker *worker, struct worker_info *out)
{
	*out = worker->info;
	out->state = worker->state;
}
