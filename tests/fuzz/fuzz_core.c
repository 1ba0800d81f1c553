/* fuzz_core.c - the core against two workers that send anything at any time: worker.c, jobs.c, eye.c and engine.c, whole.
 *
 * No process is started: spawn_worker() below hands out a socket pair, a pipe and an eventfd for the pidfd, and this
 * harness sits at the other ends. The input is a program of one-byte operations (struct operation) and their operands:
 * jobs are offered and cancelled, the loop turns, workers speak well and badly, and die. However it goes, every job that
 * was accepted must end exactly once, what the callbacks are given must be as engine.h and eye.h promise, and nothing may leak.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/engine.h"
#include "eye/eye.h"
#include "run/spawn.h"
#include "scry.h"

#define JOBS 6
#define OPERATIONS 200 /* an input does no more than this */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *end, int options);

enum role { EYE, ENGINE, ROLES };

/* The harness's end of a worker. */
static struct peer {
	int socket, errors, pidfd; /* pidfd: the number that the core has; not ours to close */
	int death;                 /* our duplicate of it */
	bool dead;
	int status;
	uint32_t last_request;
	struct slots *ring;
} peers[ROLES];

enum stage { UNUSED, OFFERED, HOLDS_FRAME };

static struct eye_job eye_jobs_pool[JOBS];
static struct engine_job engine_jobs_pool[JOBS];
static enum stage eye_stage[JOBS], engine_stage[JOBS];
static struct eye_frame frames[JOBS];
static struct eye *eye;
static struct engine *engine;
static uv_loop_t loop;
static int picture = -1;

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* --- in place of processes -------------------------------------------------------------------------------- */

static void
peer_close(struct peer *peer)
{
	fd_close(&peer->socket);
	fd_close(&peer->errors);
	fd_close(&peer->death);
	slots_destroy(peer->ring);
	*peer = (struct peer){.socket = -1, .errors = -1, .pidfd = -1, .death = -1};
}

static void
peer_die(struct peer *peer, int status)
{
	if (peer->pidfd < 0 || peer->dead)
		return;
	peer->dead = true;
	peer->status = status;
	must(eventfd_write(peer->death, 1) == 0);
	fd_close(&peer->socket);
	fd_close(&peer->errors);
}

int
spawn_worker(char *const argv[], const char *const env[], struct spawn_child *out, struct why *why)
{
	struct peer *peer = &peers[strcmp(argv[0], "eye") == 0 ? EYE : ENGINE];
	int pair[2], pipes[2];
	(void)env;
	(void)why;
	peer_close(peer);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	must(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
	peer->pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	peer->death = dup(peer->pidfd);
	must(peer->pidfd >= 0 && peer->death >= 0);
	/* The other's was closed by the core long ago, when this number is its old one. */
	for (int i = 0; i < ROLES; i++) {
		if (&peers[i] != peer && peers[i].pidfd == peer->pidfd)
			peers[i].pidfd = -1;
	}
	peer->socket = pair[1];
	peer->errors = pipes[1];
	*out = (struct spawn_child){.pid = 1000, .pidfd = peer->pidfd, .socket = pair[0], .errors = pipes[0]};
	return 0;
}

static struct peer *
peer_of(int pidfd)
{
	for (int i = 0; i < ROLES; i++) {
		if (peers[i].pidfd == pidfd)
			return &peers[i];
	}
	return NULL;
}

void
spawn_kill(const struct spawn_child *child)
{
	struct peer *peer = peer_of(child->pidfd);
	if (peer != NULL)
		peer_die(peer, SIGKILL);
}

void
spawn_end(const struct spawn_child *child)
{
	spawn_kill(child);
}

int
__wrap_waitid(idtype_t type, id_t id, siginfo_t *end, int options)
{
	struct peer *peer = peer_of((int)id);
	(void)type;
	memset(end, 0, sizeof(*end));
	must((options & WEXITED) != 0 && peer != NULL);
	if (!peer->dead)
		return 0;
	end->si_pid = 1000;
	end->si_code = peer->status >= 128 ? CLD_EXITED : CLD_KILLED;
	end->si_status = peer->status % 128;
	return 0;
}

/* --- the owners of the jobs ------------------------------------------------------------------------------- */

static void
on_frame(struct eye_job *job, int error, const char *sentence, const struct eye_frame *frame)
{
	size_t i = (size_t)(job - eye_jobs_pool);
	must(eye_stage[i] == OFFERED && sentence != NULL);
	must(error <= 0 && (error == 0) == (frame != NULL));
	eye_stage[i] = UNUSED;
	if (error < 0) {
		must(error >= SCRY_E_SYSTEM && str_utf8_valid(sentence, strlen(sentence)));
		return;
	}
	must(frame->slot < SLOTS_DEFAULT && frame->width > 0 && frame->height > 0);
	must((uint64_t)frame->width * frame->height * 3 <= slots_bytes(eye_slots(eye)));
	for (size_t j = 0; j < JOBS; j++) /* a slot is lent once */
		must(eye_stage[j] != HOLDS_FRAME || frames[j].slot != frame->slot);
	eye_stage[i] = HOLDS_FRAME;
	frames[i] = *frame;
}

static void
on_piece(struct engine_job *job, const char *text, size_t bytes)
{
	must(engine_stage[job - engine_jobs_pool] == OFFERED);
	must(bytes > 0 && str_utf8_valid(text, bytes));
}

static void
on_item(struct engine_job *job, const struct proto_item *item)
{
	must(engine_stage[job - engine_jobs_pool] == OFFERED);
	must(item->score >= 0.f && item->score <= 1.f && item->x >= 0.f && item->x <= 1.f);
	must(isfinite(item->width) && isfinite(item->height));
	must(str_utf8_valid(item->text, strlen(item->text)));
}

static void
on_done(struct engine_job *job, int error, const char *sentence, const struct proto_done *done)
{
	size_t i = (size_t)(job - engine_jobs_pool);
	must(engine_stage[i] == OFFERED && sentence != NULL && (error == 0) == (done != NULL));
	must(error <= 0 && error >= SCRY_E_SYSTEM);
	must(error == 0 || str_utf8_valid(sentence, strlen(sentence)));
	engine_stage[i] = UNUSED;
}

static void
to_nowhere(void *user, int level, const char *line)
{
	(void)user;
	must(level >= 0 && level <= LOG_DEBUG && str_utf8_valid(line, strlen(line)));
}

/* --- the program ------------------------------------------------------------------------------------------ */

struct input {
	const uint8_t *at, *end;
};

static unsigned
take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void
take_bytes(struct input *in, void *to, size_t size)
{
	size_t have = (size_t)(in->end - in->at);
	memset(to, 0, size);
	have = have < size ? have : size;
	memcpy(to, in->at, have);
	in->at += have;
}

/* Far ahead, or past already: libuv's clock cannot be turned. */
static uint64_t
take_deadline(struct input *in)
{
	return take(in) % 8 == 0 ? 0 : clock_us() + 3600u * 1000000u;
}

static void
offer_decode(struct input *in)
{
	struct why why = {""};
	size_t i = take(in) % JOBS;
	if (eye_stage[i] != UNUSED)
		return;
	eye_jobs_pool[i] = (struct eye_job){.fd = picture, .bytes = 9, .max_width = 64, .max_height = 48, .done = on_frame};
	eye_jobs_pool[i].job.deadline_us = take_deadline(in);
	if (eye_decode(eye, &eye_jobs_pool[i], &why) == 0)
		eye_stage[i] = OFFERED;
	else
		must(why.text[0] != '\0');
}

static void
offer_describe(struct input *in)
{
	struct why why = {""};
	size_t i = take(in) % JOBS;
	if (engine_stage[i] != UNUSED)
		return;
	engine_jobs_pool[i] = (struct engine_job){.prompt = take(in) % 2 == 0 ? "what is it?" : NULL,
	                                          .language = "eng",
	                                          .piece = on_piece,
	                                          .item = on_item,
	                                          .done = on_done};
	engine_jobs_pool[i].job.deadline_us = take_deadline(in);
	if (engine_describe(engine, &engine_jobs_pool[i], &why) == 0)
		engine_stage[i] = OFFERED;
	else
		must(why.text[0] != '\0');
}

static void
cancel(struct input *in)
{
	size_t i = take(in) % JOBS;
	if (take(in) % 2 == 0 && eye_stage[i] == OFFERED)
		eye_cancel(eye, &eye_jobs_pool[i], SCRY_E_CANCELLED, "cancelled");
	else if (engine_stage[i] == OFFERED)
		engine_cancel(engine, &engine_jobs_pool[i], SCRY_E_CANCELLED, "cancelled");
}

/* Reads what the core has sent to a worker, as a worker would. */
static void
listen_to_core(struct peer *peer)
{
	struct msg msg;
	while (peer->socket >= 0 && msg_recv(peer->socket, &msg) == 0) {
		must(msg.head.type < PROTO_HELLO);
		if (msg.head.type == PROTO_DECODE || msg.head.type == PROTO_DESCRIBE)
			peer->last_request = msg.head.request;
		if (msg.head.type == PROTO_RING && peer == &peers[EYE]) {
			slots_destroy(peer->ring);
			peer->ring = NULL;
			must(slots_attach(msg_take_fd(&msg), msg.body.ring.slots, msg.body.ring.slot_bytes, true, &peer->ring) ==
			     0);
		}
		msg_close(&msg);
	}
}

static void
turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	for (int i = 0; i < ROLES; i++)
		listen_to_core(&peers[i]);
}

static void
speak(struct peer *peer, unsigned type, uint32_t request, const void *body, int fd)
{
	int size = msg_body_size(type);
	if (peer->socket >= 0 && size >= 0)
		(void)msg_send(peer->socket, (enum proto_type)type, request, body, (uint32_t)size, fd);
}

static void
say_hello(struct input *in)
{
	int role = (int)(take(in) % ROLES);
	struct proto_hello hello = {.role = role == EYE ? PROTO_ROLE_EYE : PROTO_ROLE_ENGINE, .sandbox = take(in)};
	struct proto_ready ready = {.parts = 7};
	str_copy(hello.program, sizeof(hello.program), role == EYE ? "scry-eye" : "scry-fake");
	str_copy(hello.version, sizeof(hello.version), take(in) == 255 ? "99.9" : SCRY_VERSION);
	str_copy(ready.model, sizeof(ready.model), "a model");
	speak(&peers[role], PROTO_HELLO, 0, &hello, -1);
	speak(&peers[role], PROTO_READY, 0, &ready, -1);
}

/* Any type with any body, its descriptor as it should be or not. */
static void
say_anything(struct input *in)
{
	static const uint8_t types[] = {PROTO_HELLO,   PROTO_READY,         PROTO_FAILED, PROTO_FRAME,
	                                PROTO_ENCODED, PROTO_PIECE_OF_TEXT, PROTO_ITEM,   PROTO_DONE,
	                                PROTO_PONG,    PROTO_PROBED,        PROTO_LOG,    PROTO_PING};
	unsigned char body[PROTO_MAX];
	struct peer *peer = &peers[take(in) % ROLES];
	unsigned type = types[take(in) % sizeof(types)], which = take(in);
	uint32_t request = which % 4 == 0 ? 0 : which % 4 == 1 ? peer->last_request - 1 : peer->last_request;
	size_t given = take(in) | (size_t)(take(in) & 3) << 8;
	memset(body, 0, sizeof(body));
	take_bytes(in, body, given);
	speak(peer, type, request, body, type == PROTO_ENCODED || which >= 240 ? picture : -1);
}

static void
say_bytes(struct input *in)
{
	unsigned char bytes[300];
	struct peer *peer = &peers[take(in) % ROLES];
	size_t size = take(in);
	take_bytes(in, bytes, size);
	if (peer->socket >= 0 && send(peer->socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		must(errno == EAGAIN || errno == EPIPE);
}

/* A frame as a good eye makes it, but for its sides. */
static void
show_frame(struct input *in)
{
	struct peer *peer = &peers[EYE];
	uint32_t sides[2] = {take(in), take(in)};
	if (peer->ring == NULL)
		return;
	int slot = slots_claim(peer->ring);
	if (slot < 0)
		return;
	struct slot_head head = {.width = sides[0], .height = sides[1], .stride = sides[0] * 3};
	struct proto_frame frame = {
		.slot = (uint32_t)slot, .width = sides[0], .height = sides[1], .source_width = 640, .source_height = 480};
	frame.generation = slots_publish(peer->ring, (unsigned)slot, &head) + (take(in) == 255);
	speak(peer, PROTO_FRAME, peer->last_request, &frame, -1);
}

static void
scribble(struct input *in)
{
	struct peer *peer = &peers[EYE];
	if (peer->ring == NULL)
		return;
	uint8_t *heads = slots_pixels(peer->ring, 0) - (size_t)slots_count(peer->ring) * 4096;
	size_t at = (take(in) % slots_count(peer->ring)) * (size_t)4096 + take(in) % 40;
	take_bytes(in, heads + at, 8);
}

static void
give_back(struct input *in)
{
	size_t i = take(in) % JOBS;
	if (eye_stage[i] != HOLDS_FRAME)
		return;
	eye_stage[i] = UNUSED;
	eye_release(eye, &frames[i]);
}

static void
last_words(struct input *in)
{
	char words[64];
	struct peer *peer = &peers[take(in) % ROLES];
	take_bytes(in, words, 16);
	if (peer->errors >= 0 && write(peer->errors, words, 16) < 0)
		must(errno == EAGAIN || errno == EPIPE);
}

static void
start_or_stop(struct input *in)
{
	struct why why;
	unsigned which = take(in);
	struct jobs *jobs = which % 2 == 0 ? eye_jobs(eye) : engine_jobs(engine);
	if (which % 3 == 0)
		worker_stop(jobs_worker(jobs));
	else
		(void)jobs_start(jobs, &why);
}

static void
die(struct input *in)
{
	struct peer *peer = &peers[take(in) % ROLES];
	peer_die(peer, (int)take(in));
}

static void
turn_once(struct input *in)
{
	(void)in;
	turn();
}

static void (*const operations[])(struct input *in) = {
	turn_once,  offer_decode, offer_describe, turn_once,  say_hello,     say_anything, say_anything, say_bytes,
	show_frame, scribble,     give_back,      last_words, start_or_stop, die,          cancel,       turn_once};

/* --- one run ---------------------------------------------------------------------------------------------- */

static void
open_all(const struct log *log)
{
	static const struct worker_spec spec = {
		.name = "scry-eye", .path = "eye", .role = PROTO_ROLE_EYE, .threads = 1, .hello_ms = 60000, .ready_ms = 60000};
	struct engine_setup *setup = calloc(1, sizeof(*setup));
	must(setup != NULL);
	must(eye_create(&loop, log, &spec, (uint64_t)64 * 48 * 3, &eye) == 0);
	setup->spec = spec;
	setup->spec.name = "scry-fake";
	setup->spec.path = "engine";
	setup->spec.role = PROTO_ROLE_ENGINE;
	setup->ring = eye_slots(eye);
	must(engine_create(&loop, log, setup, &engine) == 0);
	free(setup);
}

static void
close_all(void)
{
	/* As context_destroy does. */
	engine_destroy(engine);
	for (size_t i = 0; i < JOBS; i++) {
		if (eye_stage[i] == HOLDS_FRAME)
			eye_release(eye, &frames[i]);
		must(engine_stage[i] == UNUSED);
	}
	eye_destroy(eye);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < JOBS; i++)
		must(eye_stage[i] != OFFERED);
	memset(eye_stage, 0, sizeof(eye_stage));
	for (int i = 0; i < ROLES; i++)
		peer_close(&peers[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct log log = {.sink = to_nowhere};
	struct input in = {.at = data, .end = data + size};
	if (picture < 0) {
		must(uv_loop_init(&loop) == 0);
		picture = fd_sealed_copy("picture", "a picture", 9);
		for (int i = 0; i < ROLES; i++)
			peers[i] = (struct peer){.socket = -1, .errors = -1, .pidfd = -1, .death = -1};
	}
	open_all(&log);
	for (int i = 0; i < OPERATIONS && in.at < in.end; i++)
		operations[take(&in) % (sizeof(operations) / sizeof(operations[0]))](&in);
	turn();
	close_all();
	return 0;
}
