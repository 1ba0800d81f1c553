/* worker.h - one worker process of the core: spawn, handshake, watch, restart.
 *
 * A struct worker is a place for a process, not the process: it is made once, starts its program when it is needed
 * (worker_need), sees it die, waits out a back-off and starts it again. Everything runs on the core's loop and nothing
 * blocks. The owner (eye/source.c, engine/engine.c) gives the callbacks and speaks the messages of its role.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/log.h"
#include "base/why.h"
#include "wire/msg.h"
#include "wire/proto.h"

enum worker_state {
	WORKER_IDLE,     /* no process; none is needed */
	WORKER_STARTING, /* exec done, waiting for HELLO or READY */
	WORKER_READY,
	WORKER_BUSY,     /* works on a request */
	WORKER_DRAINING, /* told to stop */
	WORKER_DIED,     /* killed or dying, not reaped yet */
	WORKER_BACKOFF,  /* will be started again by itself when its time has come, if it is still needed */
	WORKER_FAILED,   /* died too often in a row; tried again when needed after WORKER_RETRY_MS */
};
const char *worker_state_name(enum worker_state state);

#define WORKER_HELLO_MS 15000  /* exec to HELLO, on a small board with a cold disk; setting SCRY_WORKER_START_MS */
#define WORKER_READY_MS 120000 /* START to READY: loading a model; setting SCRY_MODEL_LOAD_MS */
#define WORKER_STOP_MS 500     /* STOP to SIGKILL */
#define WORKER_BACKOFF_MS 100  /* first delay after a start that came to nothing; doubles */
#define WORKER_FAILURES 6      /* such starts in a row until FAILED: 100 + 200 + ... = 3.1 s */
#ifndef WORKER_PING_MS         /* tests do not wait so long */
#define WORKER_PING_MS 10000   /* between pings of a worker that has nothing to do */
#define WORKER_PONG_MS 5000    /* PING to PONG */
#define WORKER_RETRY_MS 30000  /* FAILED to the next try */
#endif

struct worker;

/* What to run. The strings are borrowed and outlive the worker. */
struct worker_spec {
	const char *name;         /* "scry-eye": for logs, and what HELLO must say */
	const char *path;         /* of the program */
	const char *loader;       /* NULL, or the private runtime's ld.so that starts it ... */
	const char *library_path; /* ... with this --library-path */
	const char *const *env;   /* NULL, or NAME=VALUE strings beyond the minimal environment, NULL at the end */
	enum proto_role role;
	unsigned threads;
	unsigned hello_ms;
	unsigned ready_ms;
};

/* All are called from the loop, never from inside a worker_* call that the owner made, but for on_gone by
 * worker_destroy(), which does not call it. */
struct worker_ops {
	/* HELLO arrived: send FILE and RING messages now; START follows by itself. < 0 with `why`: cannot serve. */
	int (*on_hello)(void *user, struct why *why);
	void (*on_ready)(void *user, const struct proto_ready *ready);
	/* Any other message. The handler may take msg->fd. < 0: the worker spoke nonsense and is killed. */
	int (*on_message)(void *user, struct msg *msg);
	/* The process is gone, or could not be started. `error`: SCRY_E_WORKER it died or was killed; SCRY_E_UNAVAILABLE
	 * it cannot be started, or left without a hello; SCRY_E_SYSTEM the host is short of something; SCRY_E_TIMEOUT its
	 * handshake was late; or what it said itself while loading. `sentence`
	 * has the reason with its last words. State is IDLE, BACKOFF or FAILED by then. */
	void (*on_gone)(void *user, int error, const char *sentence);
};

/* What is known of a worker, for status and results. */
struct worker_info {
	enum worker_state state;
	int pid; /* 0: none */
	uint32_t sandbox;
	int32_t landlock;
	unsigned starts; /* since the core was opened */
	unsigned deaths; /* that nobody had asked for */
	char model[PROTO_TEXT];
	char last_words[WHY_BYTES];
};

/* Makes a worker in state IDLE. `ops`, `log` and `spec`'s strings are borrowed. 0 or SCRY_E_MEMORY. */
int worker_create(uv_loop_t *loop, const struct log *log, const struct worker_spec *spec, const struct worker_ops *ops,
                  void *user, struct worker **out);
/* Kills what runs and frees; callbacks no longer run. The loop must run on until its handles are closed. */
void worker_destroy(struct worker *worker);

/* Makes sure that a process is there or on its way. 0; or, when it FAILED and is not due, the error of its last failure
 * with `why`.
 * on_ready or on_gone follows from the loop. */
int worker_need(struct worker *worker, struct why *why);
/* No longer needed: ends the process in good order (STOP, then SIGKILL). */
void worker_stop(struct worker *worker);
/* The owner found that it hangs or lies: SIGKILL; on_gone follows with `reason` in its sentence. */
void worker_kill(struct worker *worker, const char *reason);

/* Sends; `fd` < 0 for none, not closed. A worker that does not read is killed. 0 or SCRY_E_WORKER. */
int worker_send(struct worker *worker, enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd);

/* Takes what the worker has said by now. For timers of the owner: a host runs the loop when it likes, and an answer that
 * stands in the socket is not late. */
void worker_catch_up(struct worker *worker);

/* What a worker says went wrong, as an error code: any number that is none of a failure becomes SCRY_E_WORKER. */
int worker_error_of(int32_t told);

/* The owner marks the begin and the end of a request. An end without a death is what resets the back-off. */
void worker_begin(struct worker *worker);
void worker_end(struct worker *worker);

enum worker_state worker_state(const struct worker *worker);
void worker_info(const struct worker *worker, struct worker_info *out);

#endif
