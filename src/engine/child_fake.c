/* child_fake.c - the test double scry-fake: an engine that does what the prompt tells it, faults included.
 *
 * Runs in the worker, for tests only, and is not installed. Its answers are functions of the frame (size and hash), so a
 * test sees whether the right pixels arrived. The prompt is one command:
 *     say TEXT | sleep MS | drip MS (between words) | crash | abort | exit | hang | fail | items N | lie KIND (lies[])
 * SCRY_FAKE_START (crash, hang, exit, lie) does the same before READY.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "engine/child_engine.h"
#include "scry.h"
#include "wire/child.h"

static void
hang(void)
{
	for (;;)
		pause();
}

static void
send_raw(const void *bytes, size_t size)
{
	if (write(PROTO_FD, bytes, size) < 0)
		_exit(1);
}

static void
lie_magic(uint32_t request)
{
	struct proto_head head = {.magic = 0, .version = PROTO_VERSION, .type = PROTO_PONG, .request = request};
	send_raw(&head, sizeof(head));
}

static void
lie_size(uint32_t request)
{
	struct proto_head head = {
		.magic = PROTO_MAGIC, .version = PROTO_VERSION, .type = PROTO_DONE, .size = 1u << 30, .request = request};
	send_raw(&head, sizeof(head));
}

static void
lie_unterminated(uint32_t request)
{
	struct proto_item item = {.kind = PROTO_ITEM_OBJECT};
	memset(item.text, 'x', sizeof(item.text));
	child_send(PROTO_ITEM, request, &item, sizeof(item), -1);
}

static void
lie_utf8(uint32_t request)
{
	struct proto_piece piece = {.bytes = 2, .text = "\xc3\x28"};
	child_send(PROTO_PIECE_OF_TEXT, request, &piece, sizeof(piece), -1);
}

static void
lie_length(uint32_t request)
{
	struct proto_piece piece = {.bytes = 1u << 31, .text = "x"};
	child_send(PROTO_PIECE_OF_TEXT, request, &piece, sizeof(piece), -1);
}

static void
lie_request(uint32_t request)
{
	struct proto_done done = {.finish = PROTO_FINISH_STOP};
	child_send(PROTO_DONE, request + 77, &done, sizeof(done), -1);
}

static void
lie_number(uint32_t request)
{
	float box[4] = {0, 0, 1, 1};
	child_item(request, PROTO_ITEM_OBJECT, __builtin_nanf(""), "Cat", box);
}

static void
lie_role(uint32_t request)
{
	struct proto_frame frame = {.ring = 9, .slot = 9};
	child_send(PROTO_FRAME, request, &frame, sizeof(frame), -1);
}

static void
lie_flood(uint32_t request)
{
	for (;;)
		child_item(request, PROTO_ITEM_WORD, 0.5f, "flood", NULL);
}

static void
lie_twice(uint32_t request)
{
	struct proto_done done = {.finish = PROTO_FINISH_STOP};
	child_send(PROTO_DONE, request, &done, sizeof(done), -1);
	child_send(PROTO_DONE, request, &done, sizeof(done), -1);
}

static const struct {
	const char *kind;
	void (*tell)(uint32_t request);
} lies[] = {
	{"magic", lie_magic},   {"size", lie_size},     {"unterminated", lie_unterminated},
	{"utf8", lie_utf8},     {"length", lie_length}, {"request", lie_request},
	{"number", lie_number}, {"role", lie_role},     {"flood", lie_flood},
	{"twice", lie_twice},
};

static void
lie(const char *kind, uint32_t request)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		if (strcmp(kind, lies[i].kind) == 0)
			lies[i].tell(request);
	}
	hang();
}

/* Sleeps in steps, so that a cancel is seen as an engine's would be, between layers. */
static int
nap(unsigned long ms, uint32_t request)
{
	for (unsigned long i = 0; i < ms; i += 5) {
		if (child_cancelled(request))
			return SCRY_E_CANCELLED;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	return 0;
}

static void
fault(const char *command, uint32_t request)
{
	if (strcmp(command, "crash") == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it as if it were news */
		raise(SIGSEGV);
	}
	if (strcmp(command, "abort") == 0) {
		fputs("scry-fake: these are my last words\n", stderr);
		abort();
	}
	if (strcmp(command, "exit") == 0)
		_exit(7);
	if (strcmp(command, "hang") == 0)
		hang();
	if (strncmp(command, "lie ", 4) == 0)
		lie(command + 4, request);
}

static int
fake_load(const struct child_setup *setup, struct proto_ready *ready, char *sentence)
{
	const char *command = getenv("SCRY_FAKE_START");
	(void)setup;
	(void)sentence;
	if (command != NULL)
		fault(command, 0);
	str_copy(ready->model, sizeof(ready->model), "fake");
	return 0;
}

/* A word a piece, as a language model would bring them. */
static int
say(uint32_t request, const char *text, unsigned long pause_ms)
{
	char piece[64];
	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		n += text[n] == ' ';
		n = n < sizeof(piece) ? n : sizeof(piece) - 1;
		memcpy(piece, text, n);
		piece[n] = '\0';
		child_piece(request, piece);
		text += n;
		int error = nap(pause_ms, request);
		if (error < 0)
			return error;
	}
	return 0;
}

static int
fake_describe(const struct child_frame *frame, const struct child_question *question, struct proto_done *done,
              char *sentence)
{
	const char *command = question->prompt;
	char text[128];
	unsigned long number, pause_ms = 0;
	fault(command, question->request);
	if (strcmp(command, "fail") == 0) {
		str_copy(sentence, PROTO_SENTENCE, "the fake engine was told to fail");
		return SCRY_E_MODEL;
	}
	if (strncmp(command, "sleep ", 6) == 0 && str_number(command + 6, 0, 600000, &number)) {
		int error = nap(number, question->request);
		if (error < 0)
			return error;
	}
	if (strncmp(command, "drip ", 5) == 0 && str_number(command + 5, 0, 10000, &number))
		pause_ms = number;
	if (strncmp(command, "items ", 6) == 0 && str_number(command + 6, 0, 1000000, &number)) {
		for (unsigned long i = 0; i < number; i++)
			child_item(question->request, PROTO_ITEM_OBJECT, 0.5f, "Thing", (const float[4]){0.f, 0.f, .5f, .5f});
	}
	if (strncmp(command, "say ", 4) == 0)
		snprintf(text, sizeof(text), "%s", command + 4);
	else
		snprintf(text, sizeof(text), "A frame of %u by %u pixels, hash %016llx.", frame->width, frame->height,
		         (unsigned long long)frame->hash);
	done->tokens = (uint32_t)strlen(text) / 4;
	return say(question->request, text, pause_ms);
}

const struct child_engine child_engine = {.program = "scry-fake", .load = fake_load, .describe = fake_describe};
