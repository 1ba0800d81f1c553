/* test_worker.c - the life of a worker process: every state reached and left, every way to misbehave, nothing left behind.
 *
 * argv[1] or $ODD_WORKER is the program odd_worker. Pings and rests are shortened (see meson.build).
 */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "run/worker.h"
#include "scry.h"

static const char *program;

/* A worker under test, and what it told its owner. */
struct stage {
	uv_loop_t loop;
	struct log log;
	struct worker *worker;
	char env[64];
	const char *envs[2];
	unsigned hellos, readies, messages, gones;
	int hello_error, gone_error;
	char sentence[WHY_BYTES], last_log[LOG_LINE];
	int descriptors, children;
};

static int
on_hello(void *user, struct why *why)
{
	struct stage *stage = user;
	stage->hellos++;
	if (stage->hello_error < 0)
		return why_set(why, stage->hello_error, "the owner does not want it");
	return 0;
}

static void
on_ready(void *user, const struct proto_ready *ready)
{
	struct stage *stage = user;
	assert_string_equal(ready->model, "odd model");
	stage->readies++;
}

static int
on_message(void *user, struct msg *msg)
{
	struct stage *stage = user;
	(void)msg;
	stage->messages++;
	return -1;
}

static void
on_gone(void *user, int error, const char *sentence)
{
	struct stage *stage = user;
	enum worker_state state = worker_state(stage->worker);
	assert_true(state == WORKER_IDLE || state == WORKER_BACKOFF || state == WORKER_FAILED);
	stage->gones++;
	stage->gone_error = error;
	str_copy(stage->sentence, sizeof(stage->sentence), sentence);
	assert_true(str_utf8_valid(sentence, strlen(sentence)));
}

static const struct worker_ops ops = {on_hello, on_ready, on_message, on_gone};

static void
keep_log(void *user, int level, const char *line)
{
	struct stage *stage = user;
	if (level == LOG_DEBUG) /* what the worker itself says in test_log */
		str_copy(stage->last_log, sizeof(stage->last_log), line);
}

static void
open_stage(struct stage *stage, const char *odd, struct worker_spec spec)
{
	memset(stage, 0, sizeof(*stage));
	stage->descriptors = unit_descriptors();
	stage->children = unit_children(); /* what a failed test left */
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	stage->log = (struct log){keep_log, stage};
	snprintf(stage->env, sizeof(stage->env), "ODD=%s", odd);
	stage->envs[0] = stage->env;
	spec.name = "odd";
	spec.path = spec.path != NULL ? spec.path : program;
	spec.env = stage->envs;
	spec.role = PROTO_ROLE_ENGINE;
	spec.threads = 2;
	spec.hello_ms = spec.hello_ms != 0 ? spec.hello_ms : 10000;
	spec.ready_ms = spec.ready_ms != 0 ? spec.ready_ms : 10000;
	assert_int_equal(worker_create(&stage->loop, &stage->log, &spec, &ops, stage, &stage->worker), 0);
	assert_int_equal(worker_state(stage->worker), WORKER_IDLE);
}

static void
close_stage(struct stage *stage)
{
	worker_destroy(stage->worker);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	assert_int_equal(unit_children(), stage->children);
	assert_int_equal(unit_descriptors(), stage->descriptors);
}

/* Turns the loop until it holds. Not by waiting inside of the loop: states that pass within one turn would be missed. */
#define WAIT_FOR(stage, condition)                                                                                     \
	do {                                                                                                               \
		uint64_t give_up = clock_us() + 1000u * UNIT_PATIENCE_MS;                                                      \
		while (!(condition)) {                                                                                         \
			if (clock_us() > give_up)                                                                                  \
				fail_msg("waited too long for %s, state %s", #condition,                                               \
				         worker_state_name(worker_state((stage)->worker)));                                            \
			uv_run(&(stage)->loop, UV_RUN_NOWAIT);                                                                     \
			usleep(300);                                                                                               \
		}                                                                                                              \
	} while (0)

static void
need(struct stage *stage)
{
	struct why why;
	assert_int_equal(worker_need(stage->worker, &why), 0);
}

static struct worker_info
info_of(const struct stage *stage)
{
	struct worker_info info;
	worker_info(stage->worker, &info);
	return info;
}

static void
expect_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* --- states ----------------------------------------------------------------------------------------------- */

static void
test_good_life(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	assert_int_equal(info_of(&stage).pid, 0);
	need(&stage);
	need(&stage); /* twice is once */
	WAIT_FOR(&stage, info_of(&stage).starts == 1);
	assert_int_not_equal(info_of(&stage).pid, 0);
	WAIT_FOR(&stage, stage.readies == 1);
	assert_int_equal(worker_state(stage.worker), WORKER_READY);
	struct worker_info info = info_of(&stage);
	assert_int_equal(info.sandbox, 31);
	assert_int_equal(info.landlock, 4);
	assert_int_equal(info.starts, 1);
	assert_int_equal(info.deaths, 0);
	assert_string_equal(info.model, "odd model");
	worker_begin(stage.worker);
	assert_int_equal(worker_state(stage.worker), WORKER_BUSY);
	worker_end(stage.worker);
	assert_int_equal(worker_state(stage.worker), WORKER_READY);
	worker_stop(stage.worker);
	assert_int_equal(worker_state(stage.worker), WORKER_DRAINING);
	worker_stop(stage.worker);
	WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_IDLE);
	assert_int_equal(stage.gones, 0); /* it was asked to go */
	assert_int_equal(info_of(&stage).deaths, 0);
	assert_int_equal(info_of(&stage).pid, 0);
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 2);
	assert_int_equal(info_of(&stage).starts, 2);
	close_stage(&stage);
}

/* STARTING lasts until the handshake is over; a turn of the loop may see all of it, so one that never says hello. */
static void
test_starting(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "silent", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_STARTING);
	assert_int_not_equal(info_of(&stage).pid, 0);
	close_stage(&stage);
	open_stage(&stage, "late", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.hellos == 1);
	assert_int_equal(worker_state(stage.worker), WORKER_STARTING);
	close_stage(&stage);
}

static void
test_names(void **state)
{
	(void)state;
	static const char *const names[] = {"IDLE", "STARTING", "READY", "BUSY", "DRAINING", "DIED", "BACKOFF", "FAILED"};
	for (size_t i = 0; i < COUNT(names); i++)
		assert_string_equal(worker_state_name((enum worker_state)i), names[i]);
}

/* Killed: DIED at once, gone when it has been reaped, BACKOFF, and started again by need alone. */
static void
test_killed(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	worker_kill(stage.worker, "the owner found that it lies");
	assert_int_equal(worker_state(stage.worker), WORKER_DIED);
	assert_int_equal(worker_send(stage.worker, PROTO_PING, 0, NULL, 0, -1), SCRY_E_WORKER);
	worker_kill(stage.worker, "a second reason does not count");
	WAIT_FOR(&stage, stage.gones == 1);
	assert_int_equal(stage.gone_error, SCRY_E_WORKER);
	assert_string_equal(stage.sentence, "the owner found that it lies");
	assert_string_equal(info_of(&stage).last_words, stage.sentence);
	assert_int_equal(worker_state(stage.worker), WORKER_BACKOFF);
	worker_kill(stage.worker, "nothing is there to be killed");
	worker_stop(stage.worker);
	need(&stage);
	assert_int_equal(worker_state(stage.worker), WORKER_BACKOFF);
	WAIT_FOR(&stage, stage.readies == 2);
	assert_int_equal(info_of(&stage).deaths, 1);
	close_stage(&stage);
}

/* Somebody else kills it. */
static void
test_killed_from_outside(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	kill(info_of(&stage).pid, SIGKILL);
	WAIT_FOR(&stage, stage.gones == 1);
	expect_in(stage.sentence, "worker odd died of signal 9 (Killed)");
	/* Not needed: the back-off ends in IDLE, and nothing is started. */
	WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_IDLE);
	assert_int_equal(info_of(&stage).starts, 1);
	close_stage(&stage);
}

/* Delays double from WORKER_BACKOFF_MS; the sixth death in a row is FAILED, which rests and then tries again. */
static void
test_backoff(void **state)
{
	(void)state;
	struct stage stage;
	struct why why = {""};
	uint64_t gone_us = 0;
	open_stage(&stage, "dies", (struct worker_spec){0});
	for (unsigned i = 0; i < WORKER_FAILURES; i++) {
		need(&stage);
		WAIT_FOR(&stage, info_of(&stage).starts == i + 1);
		uint64_t waited_ms = (clock_us() - gone_us) / 1000, due_ms = i > 0 ? (uint64_t)WORKER_BACKOFF_MS << (i - 1) : 0;
		if (i > 0 && (waited_ms + 25 < due_ms || waited_ms > due_ms + 1500))
			fail_msg("start %u came after %u ms instead of %u", i, (unsigned)waited_ms, (unsigned)due_ms);
		WAIT_FOR(&stage, stage.gones == i + 1);
		gone_us = clock_us();
		expect_in(stage.sentence, "worker odd ended with status 9");
	}
	assert_int_equal(worker_state(stage.worker), WORKER_FAILED);
	assert_int_equal(worker_need(stage.worker, &why), SCRY_E_WORKER);
	expect_in(why.text, "failed 6 times in a row and rests for");
	expect_in(why.text, "ended with status 9");
	while (worker_need(stage.worker, &why) < 0) /* WORKER_RETRY_MS, by the clock alone */
		usleep(1000);
	assert_in_range((clock_us() - gone_us) / 1000, WORKER_RETRY_MS - 25, WORKER_RETRY_MS + 1500);
	WAIT_FOR(&stage, stage.gones == WORKER_FAILURES + 1);
	assert_int_equal(worker_state(stage.worker), WORKER_FAILED); /* one failure more, and not six */
	close_stage(&stage);
}

/* Work that was done makes a later death the first one again. */
static void
test_work_resets_backoff(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	for (unsigned i = 1; i <= WORKER_FAILURES + 2; i++) {
		need(&stage);
		WAIT_FOR(&stage, stage.readies == i);
		worker_begin(stage.worker);
		worker_end(stage.worker);
		worker_kill(stage.worker, "again");
		WAIT_FOR(&stage, stage.gones == i);
		assert_int_equal(worker_state(stage.worker), WORKER_BACKOFF);
	}
	close_stage(&stage);
}

/* --- misbehaviour ----------------------------------------------------------------------------------------- */

static void
test_table(void **state)
{
	(void)state;
	static const struct {
		const char *odd;
		int error;
		const char *sentence;
		unsigned readies;
	} cases[] = {
		{"exit", SCRY_E_UNAVAILABLE, "ended with status 3 before it said hello", 0},
		{"exit", SCRY_E_UNAVAILABLE, "its last words: a library is missing", 0},
		{"killed", SCRY_E_WORKER, "died of signal 9", 0},
		{"early", SCRY_E_WORKER, "it sent READY that makes no sense here", 0},
		{"role", SCRY_E_UNAVAILABLE, "it calls itself", 0},
		{"name", SCRY_E_UNAVAILABLE, "it calls itself", 0},
		{"hello-twice", SCRY_E_WORKER, "it sent HELLO that makes no sense here", 0},
		{"version", SCRY_E_UNAVAILABLE, "is of version 0.0.9 and this is " SCRY_VERSION "; install both from one build",
	     0},
		{"refuse", SCRY_E_MODEL, "the model is damaged", 0},
		{"refuse-oddly", SCRY_E_WORKER, "the model is damaged", 0},
		{"model", SCRY_E_WORKER, "it sent READY that makes no sense here", 0},
		{"ready-twice", SCRY_E_WORKER, "it sent READY that makes no sense here", 1},
		{"pong", SCRY_E_WORKER, "it sent PONG that makes no sense here", 1},
		{"turned-round", SCRY_E_WORKER, "it sent PING that makes no sense here", 1},
		{"answers-nobody", SCRY_E_WORKER, "it sent DONE that makes no sense here", 1},
		{"log-bytes", SCRY_E_WORKER, "it sent LOG that makes no sense here", 0},
		{"closes", SCRY_E_WORKER, "died of signal 9", 1},
		{"words", SCRY_E_WORKER, "died of signal 6 (Aborted); its last words: the reason ?[31m? at the end", 1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct stage stage;
		open_stage(&stage, cases[i].odd, (struct worker_spec){0});
		need(&stage);
		WAIT_FOR(&stage, stage.gones == 1);
		if (stage.gone_error != cases[i].error)
			fail_msg("%s: error %d, %s", cases[i].odd, stage.gone_error, stage.sentence);
		expect_in(stage.sentence, cases[i].sentence);
		assert_int_equal(stage.readies, cases[i].readies);
		close_stage(&stage);
	}
}

static void
test_late(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "silent", (struct worker_spec){.hello_ms = 60});
	need(&stage);
	WAIT_FOR(&stage, stage.gones == 1);
	assert_int_equal(stage.gone_error, SCRY_E_TIMEOUT);
	expect_in(stage.sentence, "worker odd did not say hello within 60 ms; SCRY_WORKER_START_MS raises the limit");
	close_stage(&stage);
	open_stage(&stage, "late", (struct worker_spec){.ready_ms = 60});
	need(&stage);
	WAIT_FOR(&stage, stage.gones == 1);
	assert_int_equal(stage.gone_error, SCRY_E_TIMEOUT);
	expect_in(stage.sentence, "worker odd did not load its model within 60 ms; SCRY_MODEL_LOAD_MS raises the limit");
	close_stage(&stage);
}

static void
test_owner_refuses(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	stage.hello_error = SCRY_E_SYSTEM;
	need(&stage);
	WAIT_FOR(&stage, stage.gones == 1);
	assert_int_equal(stage.gone_error, SCRY_E_SYSTEM);
	assert_string_equal(stage.sentence, "the owner does not want it");
	assert_int_equal(stage.readies, 0);
	close_stage(&stage);
}

static void
test_missing_programs(void **state)
{
	(void)state;
	static const struct {
		const char *path, *sentence;
	} cases[] = {{"/nowhere/odd", "cannot start /nowhere/odd: No such file or directory"},
	             {"/etc/passwd", "cannot start /etc/passwd: Permission denied"},
	             {"/", "cannot start /: Permission denied"},
	             {"/bin/true", "/bin/true ended with status 0 before it said hello; is it a worker of scry?"}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct stage stage;
		open_stage(&stage, "", (struct worker_spec){.path = cases[i].path});
		need(&stage);
		WAIT_FOR(&stage, stage.gones == 1);
		assert_int_equal(stage.gone_error, SCRY_E_UNAVAILABLE);
		expect_in(stage.sentence, cases[i].sentence);
		close_stage(&stage);
	}
}

/* Pings go out while it idles, and one that does not answer them is killed. */
static void
test_ping(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	uint64_t until = clock_us() + 1000u * (4 * WORKER_PING_MS + WORKER_PONG_MS);
	WAIT_FOR(&stage, clock_us() > until); /* several pings and pongs */
	assert_int_equal(stage.gones, 0);
	assert_int_equal(worker_state(stage.worker), WORKER_READY);
	close_stage(&stage);
	open_stage(&stage, "no-pong", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.gones == 1);
	expect_in(stage.sentence, "worker odd did not answer a ping within");
	close_stage(&stage);
}

/* A host that runs the loop rarely: what the worker said in time counts, though the timers are long due. */
static void
test_rare_turns(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){.hello_ms = 300, .ready_ms = 300});
	need(&stage);
	for (int i = 0; i < 40 && stage.readies == 0; i++) {
		uv_run(&stage.loop, UV_RUN_NOWAIT);
		usleep(400 * 1000); /* the host is elsewhere, for longer than every limit */
	}
	assert_int_equal(stage.readies, 1);
	for (int i = 0; i < 6; i++) {
		uv_run(&stage.loop, UV_RUN_NOWAIT);
		usleep(1000 * (WORKER_PING_MS + WORKER_PONG_MS));
	}
	assert_int_equal(stage.gones, 0);
	close_stage(&stage);
}

/* Standard error without end must not keep the loop from turning, and the last of it is kept. */
static void
test_chatter(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "chatter", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	for (int i = 0; i < 50; i++)
		uv_run(&stage.loop, UV_RUN_ONCE);
	worker_kill(stage.worker, "");
	WAIT_FOR(&stage, stage.gones == 1);
	expect_in(stage.sentence, "died of signal 9 (Killed); its last words: ");
	expect_in(stage.sentence, " talk");
	close_stage(&stage);
}

/* A worker that never reads: the socket fills, and that is its end. */
static void
test_deaf(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "deaf", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	int sent = 0;
	while (worker_send(stage.worker, PROTO_CANCEL, 1, NULL, 0, -1) == 0)
		sent++;
	assert_true(sent > 50);
	assert_int_equal(worker_state(stage.worker), WORKER_DIED);
	WAIT_FOR(&stage, stage.gones == 1);
	expect_in(stage.sentence, "does not read its messages");
	close_stage(&stage);
}

/* STOP to one that ignores it: killed after WORKER_STOP_MS. Before HELLO too. */
static void
test_stubborn(void **state)
{
	(void)state;
	static const char *const odds[] = {"goes-on", "deaf", "silent"};
	for (size_t i = 0; i < COUNT(odds); i++) {
		struct stage stage;
		open_stage(&stage, odds[i], (struct worker_spec){0});
		need(&stage);
		if (i < 2)
			WAIT_FOR(&stage, stage.readies == 1);
		else
			WAIT_FOR(&stage, info_of(&stage).starts == 1);
		uint64_t begin = clock_us();
		worker_stop(stage.worker);
		WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_IDLE);
		assert_in_range((clock_us() - begin) / 1000, WORKER_STOP_MS - 20, WORKER_STOP_MS + 3000);
		assert_int_equal(stage.gones, 0);
		close_stage(&stage);
	}
}

/* Told to stop while its HELLO is on the way: it goes, and does not come back to life. */
static void
test_stop_while_starting(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "slow", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_STARTING);
	worker_stop(stage.worker);
	WAIT_FOR(&stage, worker_state(stage.worker) != WORKER_DRAINING);
	assert_int_equal(worker_state(stage.worker), WORKER_IDLE);
	assert_int_equal(stage.hellos, 0);
	/* Needed again while it drains: a new one follows the old. */
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	worker_stop(stage.worker);
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 2);
	close_stage(&stage);
}

static void
test_log(void **state)
{
	(void)state;
	struct stage stage;
	open_stage(&stage, "log", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, strstr(stage.last_log, "loaded") != NULL);
	assert_string_equal(stage.last_log, "odd: loaded ?[1m");
	close_stage(&stage);
}

/* --- what it inherits, and what it leaves ----------------------------------------------------------------- */

static void
test_inheritance(void **state)
{
	(void)state;
	struct stage stage;
	int extra = dup2(STDERR_FILENO, 77);
	setenv("SECRET_KEY", "hush", 1);
	open_stage(&stage, "tell", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.gones == 1);
	expect_in(stage.sentence, "LC_ALL=C.UTF-8 ");
	expect_in(stage.sentence, "ODD=tell 0 1 2 3 stdin 0");
	assert_null(strstr(stage.sentence, "hush"));
	assert_null(strstr(stage.sentence, "HOME="));
	assert_null(strstr(stage.sentence, "PATH="));
	close_stage(&stage);
	unsetenv("SECRET_KEY");
	close(extra);
}

/* Standard descriptors of the host are closed: the wire still arrives on 3. */
static void
test_low_descriptors(void **state)
{
	(void)state;
	int kept = dup(STDIN_FILENO);
	struct stage stage;
	open_stage(&stage, "", (struct worker_spec){0});
	close(STDIN_FILENO);
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	worker_kill(stage.worker, "enough");
	WAIT_FOR(&stage, stage.gones == 1);
	uv_run(&stage.loop, UV_RUN_NOWAIT);
	dup2(kept, STDIN_FILENO);
	close_stage(&stage);
	close(kept);
}

/* No descriptors left: the host's trouble, told as such, and over when there are some again. */
static void
test_no_descriptors(void **state)
{
	(void)state;
	struct stage stage;
	struct rlimit before, tight;
	open_stage(&stage, "", (struct worker_spec){0});
	getrlimit(RLIMIT_NOFILE, &before);
	tight = before;
	for (unsigned more = 0; more < 7; more++) {
		tight.rlim_cur = (rlim_t)unit_descriptors() + 1 + more;
		unsigned gones = stage.gones;
		need(&stage);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
		WAIT_FOR(&stage, stage.gones > gones || stage.readies > 0);
		setrlimit(RLIMIT_NOFILE, &before);
		if (stage.readies > 0)
			break;
		assert_int_equal(stage.gone_error, SCRY_E_SYSTEM);
		assert_int_not_equal(worker_state(stage.worker), WORKER_FAILED);
		WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_IDLE);
	}
	assert_true(stage.gones > 0);
	need(&stage);
	WAIT_FOR(&stage, stage.readies > 0);
	close_stage(&stage);
}

/* A host that ignores SIGCHLD: the kernel reaps, and the end is seen all the same. */
static void
test_sigchld_ignored(void **state)
{
	(void)state;
	struct stage stage;
	signal(SIGCHLD, SIG_IGN);
	open_stage(&stage, "", (struct worker_spec){0});
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 1);
	kill(info_of(&stage).pid, SIGKILL);
	WAIT_FOR(&stage, stage.gones == 1);
	assert_string_equal(stage.sentence, "worker odd ended");
	need(&stage);
	WAIT_FOR(&stage, stage.readies == 2);
	close_stage(&stage);
	signal(SIGCHLD, SIG_DFL);
}

/* Destroyed in each state: no child, no descriptor, no callback. */
static void
test_destroy_anywhere(void **state)
{
	(void)state;
	for (int when = 0; when < 8; when++) {
		struct stage stage;
		open_stage(&stage, when == 4 ? "deaf" : "", (struct worker_spec){0});
		if (when > 0)
			need(&stage);
		if (when > 1)
			WAIT_FOR(&stage, info_of(&stage).starts == 1);
		if (when > 2)
			WAIT_FOR(&stage, stage.readies == 1);
		if (when == 4)
			worker_stop(stage.worker);
		if (when == 5)
			worker_begin(stage.worker);
		if (when > 5)
			worker_kill(stage.worker, "now");
		if (when > 6)
			WAIT_FOR(&stage, worker_state(stage.worker) == WORKER_BACKOFF);
		unsigned gones = stage.gones;
		close_stage(&stage);
		assert_int_equal(stage.gones, gones);
	}
	worker_destroy(NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_life),
		cmocka_unit_test(test_starting),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_from_outside),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_work_resets_backoff),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_owner_refuses),
		cmocka_unit_test(test_missing_programs),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_rare_turns),
		cmocka_unit_test(test_chatter),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_stubborn),
		cmocka_unit_test(test_stop_while_starting),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_inheritance),
		cmocka_unit_test(test_low_descriptors),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_sigchld_ignored),
		cmocka_unit_test(test_destroy_anywhere),
	};
	program = argc > 1 ? argv[1] : getenv("ODD_WORKER");
	if (program == NULL)
		return 77;
	/* libuv keeps the descriptors of its first loop. */
	uv_loop_t first;
	uv_loop_init(&first);
	uv_loop_close(&first);
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
