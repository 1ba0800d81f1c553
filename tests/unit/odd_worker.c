/* odd_worker.c - a worker program for test_worker.c that misbehaves as $ODD says; without it, it behaves.
 *
 * It speaks the wire with msg.c alone and enters no sandbox, so that every stage can go wrong by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "scry.h"
#include "wire/msg.h"

static const char *odd;

static bool
is(const char *what)
{
	return strcmp(odd, what) == 0;
}

static void
say(enum proto_type type, uint32_t request, const void *body, size_t size)
{
	if (msg_send(PROTO_FD, type, request, body, (uint32_t)size, -1) < 0)
		_exit(0);
}

static void
hello(void)
{
	struct proto_hello body = {.role = is("role") ? PROTO_ROLE_EYE : PROTO_ROLE_ENGINE, .sandbox = 31, .landlock = 4};
	str_copy(body.program, sizeof(body.program), is("name") ? "scry-other" : "odd");
	str_copy(body.version, sizeof(body.version), is("version") ? "0.0.9" : SCRY_VERSION);
	say(PROTO_HELLO, 0, &body, sizeof(body));
}

static void
ready(void)
{
	struct proto_ready body = {.parts = 1};
	str_copy(body.model, sizeof(body.model), is("model") ? "\xff" : "odd model");
	say(PROTO_READY, 0, &body, sizeof(body));
}

static _Noreturn void
wait_for_ever(void)
{
	for (;;)
		pause();
}

/* What it was given: its environment, and the numbers of its descriptors. */
static _Noreturn void
tell(void)
{
	for (char **e = environ; *e != NULL; e++)
		fprintf(stderr, "%s ", *e);
	for (int fd = 0; fd < 200; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			fprintf(stderr, "%d ", fd);
	}
	char byte;
	fprintf(stderr, "stdin %zd\n", read(STDIN_FILENO, &byte, 1));
	_exit(5);
}

static void
before_hello(void)
{
	if (is("silent"))
		wait_for_ever();
	if (is("slow")) /* its HELLO comes when STOP has been sent, which it ignores */
		usleep(200 * 1000);
	if (is("tell"))
		tell();
	if (is("exit")) {
		fputs("a library is missing\n", stderr);
		_exit(3);
	}
	if (is("killed"))
		kill(getpid(), 9);
	if (is("early"))
		ready();
}

static _Noreturn void
chatter(void)
{
	static const char line[] = "I talk and talk and talk and talk and talk and talk and talk and talk\n";
	for (;;) {
		if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
			_exit(1);
	}
}

static _Noreturn void
say_last_words(void)
{
	for (int i = 0; i < 500; i++)
		fprintf(stderr, "line %d of what nobody reads\n", i);
	fputs("the reason \x1b[31m\xff at the end\n", stderr);
	abort();
}

static void
after_start(void)
{
	struct proto_failed failed = {.error = is("refuse") ? SCRY_E_MODEL : 12345};
	struct proto_log log = {.level = 99};
	str_copy(failed.sentence, sizeof(failed.sentence), "the model is damaged");
	str_copy(log.text, sizeof(log.text), is("log-bytes") ? "\xff" : "loaded \x1b[1m");
	if (is("late"))
		wait_for_ever();
	if (is("dies"))
		_exit(9);
	if (is("refuse") || is("refuse-oddly"))
		say(PROTO_FAILED, 0, &failed, sizeof(failed));
	if (is("log") || is("log-bytes"))
		say(PROTO_LOG, 0, &log, sizeof(log));
	ready();
	if (is("ready-twice"))
		ready();
	if (is("pong"))
		say(PROTO_PONG, 0, NULL, 0);
	if (is("turned-round"))
		say(PROTO_PING, 0, NULL, 0);
	if (is("answers-nobody"))
		say(PROTO_DONE, 1, &(struct proto_done){.finish = 1}, sizeof(struct proto_done));
	if (is("closes")) {
		close(PROTO_FD);
		wait_for_ever();
	}
	if (is("deaf"))
		wait_for_ever();
	if (is("chatter"))
		chatter();
	if (is("words"))
		say_last_words();
}

int
main(void)
{
	struct msg msg;
	odd = getenv("ODD") != NULL ? getenv("ODD") : "";
	before_hello();
	hello();
	if (is("hello-twice"))
		hello();
	for (;;) {
		int error = msg_recv(PROTO_FD, &msg);
		if (error < 0)
			_exit(error == -EPIPE ? 0 : 1);
		msg_close(&msg);
		if (msg.head.type == PROTO_START)
			after_start();
		else if (msg.head.type == PROTO_PING && !is("no-pong"))
			say(PROTO_PONG, 0, NULL, 0);
		else if (msg.head.type == PROTO_STOP && !is("goes-on") && !is("slow"))
			_exit(0);
	}
}
