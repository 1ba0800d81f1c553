/* child.c - a worker's side of the wire; see child.h. Everything here runs on the worker's main thread. */
#include "wire/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/str.h"
#include "scry.h"
#include "wire/sandbox.h"

/* What a request may take beyond its deadline before the process ends itself. The core acts at the deadline; this is
 * for a core that is gone. */
#define DEADLINE_GRACE_MS 3000

/* The last text of the process goes to standard error: the core keeps it as the worker's last words. */
static _Noreturn void
leave(int status, const char *words)
{
	if (words != NULL && write(STDERR_FILENO, words, strlen(words)) < 0)
		status = 1;
	/* Not exit(): a model library's destructors have nothing to save and take their time. */
	_exit(status);
}

static void
expect_scry_socket(const char *program)
{
	int type = 0;
	socklen_t size = sizeof(type);
	if (getsockopt(PROTO_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
		return;
	fprintf(stderr, "%s is a worker of scry and is started by it; run `scry describe IMAGE` instead\n", program);
	exit(2);
}

/* Runs at every movement of the wire. A worker that is busy, or hangs, does not read, so it would see the end of its core
 * only after its deadline; this ends it at once, whatever it is at. */
static void
on_wire(int signal)
{
	int kept = errno;
	struct pollfd wire = {.fd = PROTO_FD};
	(void)signal;
	if (poll(&wire, 1, 0) == 1 && (wire.revents & (POLLHUP | POLLERR)) != 0)
		_exit(0);
	errno = kept;
}

static void
watch_core(void)
{
	/* Restarted: a library's read must not fail because a message came. */
	struct sigaction action = {.sa_handler = on_wire, .sa_flags = SA_RESTART};
	if (sigaction(SIGIO, &action, NULL) < 0 || fcntl(PROTO_FD, F_SETOWN, getpid()) < 0 ||
	    fcntl(PROTO_FD, F_SETFL, fcntl(PROTO_FD, F_GETFL) | O_ASYNC) < 0)
		leave(1, "the wire cannot be watched\n");
}

void
child_hello(const char *program, enum proto_role role, enum child_sandbox kind)
{
	static const enum sandbox_kind kinds[] = {[CHILD_SANDBOX_DECODER] = SANDBOX_DECODER,
	                                          [CHILD_SANDBOX_ENGINE] = SANDBOX_ENGINE,
	                                          [CHILD_SANDBOX_LOADER] = SANDBOX_LOADER};
	expect_scry_socket(program);
	/* Dispositions are inherited through exec; the deadline needs the default one. */
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	watch_core();
	struct proto_hello hello = {.role = role};
	hello.sandbox = sandbox_enter(kinds[kind], &hello.landlock);
	str_copy(hello.program, sizeof(hello.program), program);
	str_copy(hello.version, sizeof(hello.version), SCRY_VERSION);
	child_send(PROTO_HELLO, 0, &hello, sizeof(hello), -1);
}

uint32_t
child_confine(const int *fds, unsigned count)
{
	return sandbox_files(fds, count) ? PROTO_SANDBOX_FILES : 0;
}

static void
answer_probe(uint32_t request)
{
	struct proto_probed probed;
	sandbox_probe(&probed);
	child_send(PROTO_PROBED, request, &probed, sizeof(probed), -1);
}

/* Receives the next message, or leaves. True when it is one for the caller. */
static bool
receive_one(struct msg *out)
{
	int error = msg_recv(PROTO_FD, out);
	if (error == -EPIPE)
		leave(0, NULL);
	if (error < 0)
		leave(1, "the core sent a message that does not decode\n");
	switch (out->head.type) {
	case PROTO_PING:
		child_send(PROTO_PONG, out->head.request, NULL, 0, -1);
		return false;
	case PROTO_PROBE:
		answer_probe(out->head.request);
		return false;
	case PROTO_CANCEL: /* of a request that ended meanwhile */
		return false;
	case PROTO_STOP:
		leave(0, NULL);
	default:
		return true;
	}
}

void
child_receive(struct msg *out)
{
	while (!receive_one(out))
		continue;
}

bool
child_cancelled(uint32_t request)
{
	struct proto_head head;
	for (;;) {
		ssize_t n = recv(PROTO_FD, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
		if (n == 0)
			leave(0, NULL);
		if (n != (ssize_t)sizeof(head))
			return false;
		bool cancel = head.type == PROTO_CANCEL && head.request == request;
		/* Only what is answered at once is taken from the queue here; the rest waits its turn. */
		if (head.type != PROTO_CANCEL && head.type != PROTO_PING && head.type != PROTO_STOP)
			return false;
		struct msg taken;
		receive_one(&taken);
		if (cancel)
			return true;
	}
}

void
child_send(enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd)
{
	int error = msg_send(PROTO_FD, type, request, body, size, fd);
	if (error < 0)
		leave(error == -EPIPE ? 0 : 1, error == -EPIPE ? NULL : "cannot send to the core\n");
}

void
child_failed(uint32_t request, int error, const char *format, ...)
{
	struct proto_failed failed = {.error = error};
	char text[PROTO_SENTENCE * 2];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	str_copy(failed.sentence, sizeof(failed.sentence), text);
	child_send(PROTO_FAILED, request, &failed, sizeof(failed), -1);
}

void
child_log(unsigned level, const char *format, ...)
{
	struct proto_log log = {.level = level};
	char text[PROTO_SENTENCE * 2];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	str_copy(log.text, sizeof(log.text), text);
	child_send(PROTO_LOG, 0, &log, sizeof(log), -1);
}

void
child_piece(uint32_t request, const char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		struct proto_piece piece = {0};
		size_t take = str_utf8_cut(text, left, PROTO_PIECE - 1);
		piece.bytes = (uint32_t)take;
		memcpy(piece.text, text, take);
		child_send(PROTO_PIECE_OF_TEXT, request, &piece, sizeof(piece), -1);
		text += take;
		left -= take;
	}
}

void
child_deadline(uint32_t deadline_ms)
{
	uint64_t ms = deadline_ms == 0 ? 0 : (uint64_t)deadline_ms + DEADLINE_GRACE_MS;
	struct itimerval timer = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};
	setitimer(ITIMER_REAL, &timer, NULL);
}
