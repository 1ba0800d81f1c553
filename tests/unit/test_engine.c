/* test_engine.c - jobs and the engine's half in the core, against the real scry-fake: order, deadlines, deaths, lies.
 *
 * argv[1] or $SCRY_FAKE is the program. The ring is this test's own; it plays the eye. One struct stage is one engine with
 * its loop; a struct ask is one question with what came of it.
 */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/engine.h"
#include "scry.h"

#define WIDTH 32
#define HEIGHT 16

static const char *program;

struct stage {
	uv_loop_t loop;
	struct log log;
	struct slots *ring;
	uint32_t generation;
	struct engine *engine;
	char env[64];
	const char *envs[2];
	int descriptors, children;
	unsigned ends; /* of all its questions, for their order */
};

struct ask {
	struct engine_job job;
	struct stage *stage;
	char text[4096], sentence[WHY_BYTES];
	unsigned pieces, items, ends, order;
	int error;
	struct proto_done report;
};

#define ask_of(member) ((struct ask *)((char *)(member)-offsetof(struct ask, job)))

static void
on_piece(struct engine_job *job, const char *text, size_t bytes)
{
	struct ask *ask = ask_of(job);
	assert_true(str_utf8_valid(text, bytes));
	ask->pieces++;
	snprintf(ask->text + strlen(ask->text), sizeof(ask->text) - strlen(ask->text), "%.*s", (int)bytes, text);
}

static void
on_item(struct engine_job *job, const struct proto_item *item)
{
	assert_true(strcmp(item->text, "Thing") == 0 || strcmp(item->text, "flood") == 0);
	ask_of(job)->items++;
}

static void
on_done(struct engine_job *job, int error, const char *sentence, const struct proto_done *done)
{
	struct ask *ask = ask_of(job);
	assert_int_equal(error == 0, done != NULL);
	ask->ends++;
	ask->order = ++ask->stage->ends;
	ask->error = error;
	str_copy(ask->sentence, sizeof(ask->sentence), sentence != NULL ? sentence : "");
	if (done != NULL)
		ask->report = *done;
}

static void
to_nowhere(void *user, int level, const char *line)
{
	(void)user;
	(void)level;
	assert_true(str_utf8_valid(line, strlen(line)));
}

static void
open_stage(struct stage *stage, const char *start, const char *path)
{
	struct engine_setup *setup = calloc(1, sizeof(*setup));
	struct slot_head head = {.width = WIDTH, .height = HEIGHT, .stride = WIDTH * 3, .hash = 0x1234abcd};
	memset(stage, 0, sizeof(*stage));
	stage->descriptors = unit_descriptors();
	stage->children = unit_children();
	stage->log.sink = to_nowhere;
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	assert_int_equal(slots_create(2, WIDTH * HEIGHT * 3, &stage->ring), 0);
	assert_int_equal(slots_claim(stage->ring), 0);
	stage->generation = slots_publish(stage->ring, 0, &head);
	snprintf(stage->env, sizeof(stage->env), "SCRY_FAKE_START=%s", start);
	stage->envs[0] = stage->env;
	setup->spec = (struct worker_spec){.name = "scry-fake",
	                                   .path = path,
	                                   .env = start[0] != '\0' ? stage->envs : NULL,
	                                   .role = PROTO_ROLE_ENGINE,
	                                   .threads = 1,
	                                   .hello_ms = 10000,
	                                   .ready_ms = 10000};
	setup->ring = stage->ring;
	assert_int_equal(engine_create(&stage->loop, &stage->log, setup, &stage->engine), 0);
	free(setup);
}

static void
close_stage(struct stage *stage)
{
	engine_destroy(stage->engine);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	slots_destroy(stage->ring);
	assert_int_equal(unit_children(), stage->children);
	assert_int_equal(unit_descriptors(), stage->descriptors);
}

#define WAIT_FOR(stage, condition)                                                                                     \
	do {                                                                                                               \
		uint64_t give_up = clock_us() + 1000u * UNIT_PATIENCE_MS;                                                      \
		while (!(condition)) {                                                                                         \
			if (clock_us() > give_up)                                                                                  \
				fail_msg("waited too long for %s", #condition);                                                        \
			uv_run(&(stage)->loop, UV_RUN_NOWAIT);                                                                     \
			usleep(200);                                                                                               \
		}                                                                                                              \
	} while (0)

static int
offer(struct stage *stage, struct ask *ask, const char *prompt, unsigned deadline_ms)
{
	struct why why = {""};
	memset(ask, 0, sizeof(*ask));
	ask->stage = stage;
	ask->job = (struct engine_job){
		.generation = stage->generation, .prompt = prompt, .piece = on_piece, .item = on_item, .done = on_done};
	ask->job.job.deadline_us = clock_us() + (uint64_t)deadline_ms * 1000;
	int error = engine_describe(stage->engine, &ask->job, &why);
	str_copy(ask->sentence, sizeof(ask->sentence), why.text);
	return error;
}

static void
ask_and_wait(struct stage *stage, struct ask *ask, const char *prompt)
{
	assert_int_equal(offer(stage, ask, prompt, UNIT_PATIENCE_MS), 0);
	assert_int_equal(ask->ends, 0); /* never from inside of the call */
	WAIT_FOR(stage, ask->ends > 0);
	assert_int_equal(ask->ends, 1);
}

static struct worker_info
info_of(const struct stage *stage)
{
	struct worker_info info;
	worker_info(jobs_worker(engine_jobs(stage->engine)), &info);
	return info;
}

static void
expect_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* --- answers ---------------------------------------------------------------------------------------------- */

static void
test_answers(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &ask, NULL);
	assert_int_equal(ask.error, 0);
	assert_string_equal(ask.text, "A frame of 32 by 16 pixels, hash 000000001234abcd.");
	assert_true(ask.pieces > 5);
	assert_int_equal(ask.report.finish, PROTO_FINISH_STOP);
	int pid = info_of(&stage).pid;
	ask_and_wait(&stage, &ask, "say one caf\xc3\xa9 for \xf0\x9f\x90\x88");
	assert_string_equal(ask.text, "one caf\xc3\xa9 for \xf0\x9f\x90\x88");
	ask_and_wait(&stage, &ask, "items 4096");
	assert_int_equal(ask.error, 0);
	assert_int_equal(ask.items, 4096);
	ask_and_wait(&stage, &ask, "fail");
	assert_int_equal(ask.error, SCRY_E_MODEL);
	assert_string_equal(ask.sentence, "the fake engine was told to fail");
	assert_int_equal(info_of(&stage).pid, pid); /* one process all the time */
	assert_int_equal(info_of(&stage).state, WORKER_READY);
	struct worker_info info = info_of(&stage);
	assert_int_equal(info.sandbox & (PROTO_SANDBOX_NO_NEW_PRIVS | PROTO_SANDBOX_LIMITS | PROTO_SANDBOX_SYSCALLS),
	                 PROTO_SANDBOX_NO_NEW_PRIVS | PROTO_SANDBOX_LIMITS | PROTO_SANDBOX_SYSCALLS);
	close_stage(&stage);
	engine_destroy(NULL);
}

static void
test_prompts(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	open_stage(&stage, "", program);
	char *longest = malloc(65537);
	memset(longest, 'p', 65536);
	longest[65536] = '\0';
	ask_and_wait(&stage, &ask, longest);
	assert_int_equal(ask.error, 0);
	free(longest);
	ask_and_wait(&stage, &ask, "");
	assert_int_equal(ask.error, 0);
	ask_and_wait(&stage, &ask, "bad \xff bytes");
	assert_int_equal(ask.error, SCRY_E_ARGUMENT);
	assert_string_equal(ask.sentence, "the prompt is not valid UTF-8");
	/* A frame that is not there. */
	stage.generation++;
	ask_and_wait(&stage, &ask, NULL);
	assert_int_equal(ask.error, SCRY_E_WORKER);
	expect_in(ask.sentence, "the frame is gone from its slot");
	close_stage(&stage);
}

/* --- deaths and lies -------------------------------------------------------------------------------------- */

static void
test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *prompt, *sentence;
	} cases[] = {
		{"crash", "worker scry-fake died of signal 11 (Segmentation fault)"},
		{"abort", "died of signal 6 (Aborted); its last words: scry-fake: these are my last words"},
		{"exit", "worker scry-fake ended with status 7"},
		{"lie magic", "worker scry-fake was dropped: it sent a message that makes no sense here"},
		{"lie size", "it sent a message that makes no sense here"},
		{"lie unterminated", "it sent a message that makes no sense here"},
		{"lie utf8", "it sent PIECE that makes no sense here"},
		{"lie length", "it sent PIECE that makes no sense here"},
		{"lie request", "it sent DONE that makes no sense here"},
		{"lie number", "it sent ITEM that makes no sense here"},
		{"lie role", "it sent FRAME that makes no sense here"},
		{"lie flood", "it sent ITEM that makes no sense here"},
		{"items 4097", "it sent ITEM that makes no sense here"},
	};
	struct stage stage;
	open_stage(&stage, "", program);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ask ask;
		ask_and_wait(&stage, &ask, cases[i].prompt);
		assert_int_equal(ask.error, SCRY_E_WORKER);
		expect_in(ask.sentence, cases[i].sentence);
		/* The next one is served by a new process. */
		ask_and_wait(&stage, &ask, "say again");
		assert_int_equal(ask.error, 0);
		assert_string_equal(ask.text, "again");
	}
	assert_int_equal(info_of(&stage).deaths, COUNT(cases));
	close_stage(&stage);
}

/* Answers twice: the first is the answer, the second its end. */
static void
test_twice(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &ask, "lie twice");
	assert_int_equal(ask.error, 0);
	WAIT_FOR(&stage, info_of(&stage).deaths == 1);
	assert_int_equal(ask.ends, 1);
	ask_and_wait(&stage, &ask, "say again");
	assert_int_equal(ask.error, 0);
	close_stage(&stage);
}

/* A worker that cannot start: each question ends in an error, and soon, and there are no endless starts. */
static void
test_bad_starts(void **state)
{
	(void)state;
	static const struct {
		const char *start, *sentence;
		int error;
	} cases[] = {
		{"crash", "died of signal 11", SCRY_E_WORKER},
		{"abort", "these are my last words", SCRY_E_WORKER},
		{"exit", "ended with status 7", SCRY_E_WORKER},
		{"lie magic", "makes no sense here", SCRY_E_WORKER},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct stage stage;
		struct ask ask;
		open_stage(&stage, cases[i].start, program);
		ask_and_wait(&stage, &ask, NULL);
		assert_int_equal(ask.error, cases[i].error);
		expect_in(ask.sentence, cases[i].sentence);
		assert_int_equal(info_of(&stage).state, WORKER_FAILED);
		assert_int_equal(info_of(&stage).starts, WORKER_FAILURES);
		assert_int_equal(offer(&stage, &ask, NULL, 1000), SCRY_E_WORKER);
		expect_in(ask.sentence, "rests for");
		close_stage(&stage);
	}
}

static void
test_missing_program(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	open_stage(&stage, "", "/nowhere/scry-fake");
	ask_and_wait(&stage, &ask, NULL);
	assert_int_equal(ask.error, SCRY_E_UNAVAILABLE);
	expect_in(ask.sentence, "cannot start /nowhere/scry-fake: No such file or directory");
	close_stage(&stage);
}

/* The one at work dies with the worker; those behind it are served by the next. */
static void
test_others_survive(void **state)
{
	(void)state;
	struct stage stage;
	struct ask asks[4];
	open_stage(&stage, "", program);
	for (unsigned i = 0; i < COUNT(asks); i++)
		assert_int_equal(offer(&stage, &asks[i], i == 1 ? "crash" : "say here", UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, stage.ends == COUNT(asks));
	for (unsigned i = 0; i < COUNT(asks); i++) {
		assert_int_equal(asks[i].error, i == 1 ? SCRY_E_WORKER : 0);
		assert_int_equal(asks[i].order, i + 1);
	}
	assert_true(asks[2].job.job.start_us > 0); /* it waited for a start, and knows */
	close_stage(&stage);
}

/* --- time ------------------------------------------------------------------------------------------------- */

/* Hangs: the deadline ends the question, the grace the worker. The next one waits for neither more nor less. */
static void
test_hang(void **state)
{
	(void)state;
	struct stage stage;
	struct ask hung, next;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &next, NULL);
	int pid = info_of(&stage).pid;
	uint64_t begin = clock_us();
	assert_int_equal(offer(&stage, &hung, "hang", 300), 0);
	assert_int_equal(offer(&stage, &next, "say next", UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, hung.ends == 1);
	uint64_t late_ms = (clock_us() - begin) / 1000;
	assert_in_range(late_ms, 290, 1500);
	assert_int_equal(hung.error, SCRY_E_TIMEOUT);
	expect_in(hung.sentence, "the deadline passed while the worker was at it");
	assert_int_equal(info_of(&stage).pid, pid); /* it has a moment to react */
	WAIT_FOR(&stage, next.ends == 1);
	assert_int_equal(next.error, 0);
	assert_in_range((clock_us() - begin) / 1000, 300 + JOBS_GRACE_MS - 20, 300 + JOBS_GRACE_MS + 3000);
	assert_int_not_equal(info_of(&stage).pid, pid);
	expect_in(info_of(&stage).last_words, "hung in a request that was over and was killed");
	close_stage(&stage);
}

/* A deadline that passes in the queue, and one that passes while the worker starts. */
static void
test_deadline_in_queue(void **state)
{
	(void)state;
	struct stage stage;
	struct ask first, second, third;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &first, NULL);
	assert_int_equal(offer(&stage, &first, "sleep 600", UNIT_PATIENCE_MS), 0);
	assert_int_equal(offer(&stage, &second, NULL, 100), 0);
	assert_int_equal(offer(&stage, &third, NULL, UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, third.ends == 1);
	assert_int_equal(first.error, 0);
	assert_int_equal(second.error, SCRY_E_TIMEOUT);
	expect_in(second.sentence, "waiting behind other requests");
	assert_int_equal(third.error, 0);
	assert_int_equal(second.order, 2);
	close_stage(&stage);
	open_stage(&stage, "hang", program);
	assert_int_equal(offer(&stage, &first, NULL, 200), 0);
	WAIT_FOR(&stage, first.ends == 1);
	assert_int_equal(first.error, SCRY_E_TIMEOUT);
	expect_in(first.sentence, "the deadline passed while the worker was STARTING");
	close_stage(&stage);
}

static void
cancel(struct stage *stage, struct ask *ask)
{
	engine_cancel(stage->engine, &ask->job, SCRY_E_CANCELLED, "cancelled");
	assert_int_equal(ask->ends, 1);
	assert_int_equal(ask->error, SCRY_E_CANCELLED);
}

/* An engine that heeds a cancel lives on, and its late answer is nobody's. */
static void
test_cancel(void **state)
{
	(void)state;
	struct stage stage;
	struct ask first, second, third;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &first, NULL);
	int pid = info_of(&stage).pid;
	assert_int_equal(offer(&stage, &first, "sleep 60000", UNIT_PATIENCE_MS), 0);
	assert_int_equal(offer(&stage, &second, NULL, UNIT_PATIENCE_MS), 0);
	assert_int_equal(offer(&stage, &third, "say third", UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, info_of(&stage).state == WORKER_BUSY);
	cancel(&stage, &second); /* one that waits */
	cancel(&stage, &first);  /* the one at work */
	assert_int_equal(info_of(&stage).state, WORKER_BUSY);
	WAIT_FOR(&stage, third.ends == 1);
	assert_string_equal(third.text, "third");
	assert_int_equal(info_of(&stage).pid, pid);
	assert_int_equal(first.ends + second.ends, 2);
	close_stage(&stage);
}

/* The host was away while the answer to a cancel came: that is no reason to kill the worker. */
static void
test_cancel_and_leave(void **state)
{
	(void)state;
	struct stage stage;
	struct ask first, second;
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &first, NULL);
	int pid = info_of(&stage).pid;
	assert_int_equal(offer(&stage, &first, "sleep 60000", UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, info_of(&stage).state == WORKER_BUSY);
	cancel(&stage, &first);
	usleep((JOBS_GRACE_MS + 200) * 1000);
	ask_and_wait(&stage, &second, "say still here");
	assert_int_equal(second.error, 0);
	assert_int_equal(info_of(&stage).pid, pid);
	close_stage(&stage);
}

/* --- the queue -------------------------------------------------------------------------------------------- */

static void
test_full(void **state)
{
	(void)state;
	struct stage stage;
	struct ask *asks = calloc(JOBS_WAITING + 2, sizeof(*asks));
	open_stage(&stage, "", program);
	for (unsigned i = 0; i < JOBS_WAITING; i++)
		assert_int_equal(offer(&stage, &asks[i], "say x", 3 * UNIT_PATIENCE_MS), 0);
	assert_int_equal(offer(&stage, &asks[JOBS_WAITING], "say x", 1000), SCRY_E_BUSY);
	expect_in(asks[JOBS_WAITING].sentence, "256 requests are waiting already; try again later");
	WAIT_FOR(&stage, stage.ends > 0);
	assert_int_equal(offer(&stage, &asks[JOBS_WAITING + 1], "say x", 3 * UNIT_PATIENCE_MS), 0);
	WAIT_FOR(&stage, stage.ends == JOBS_WAITING + 1);
	for (unsigned i = 0; i < JOBS_WAITING; i++) {
		assert_int_equal(asks[i].error, 0);
		assert_int_equal(asks[i].order, i + 1);
	}
	assert_int_equal(asks[JOBS_WAITING].ends, 0);
	close_stage(&stage);
	free(asks);
}

/* The end of the engine is the end of each question, once. */
static void
test_destroy_with_questions(void **state)
{
	(void)state;
	for (int busy = 0; busy < 2; busy++) {
		struct stage stage;
		struct ask asks[3];
		open_stage(&stage, "", program);
		for (unsigned i = 0; i < COUNT(asks); i++)
			assert_int_equal(offer(&stage, &asks[i], "hang", UNIT_PATIENCE_MS), 0);
		if (busy)
			WAIT_FOR(&stage, info_of(&stage).state == WORKER_BUSY);
		close_stage(&stage);
		for (unsigned i = 0; i < COUNT(asks); i++) {
			assert_int_equal(asks[i].ends, 1);
			assert_int_equal(asks[i].error, SCRY_E_CANCELLED);
			assert_string_equal(asks[i].sentence, "the core was closed");
		}
	}
}

static void
test_sigchld_ignored(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	signal(SIGCHLD, SIG_IGN);
	open_stage(&stage, "", program);
	ask_and_wait(&stage, &ask, "crash");
	assert_int_equal(ask.error, SCRY_E_WORKER);
	ask_and_wait(&stage, &ask, "say on");
	assert_int_equal(ask.error, 0);
	close_stage(&stage);
	signal(SIGCHLD, SIG_DFL);
}

/* --- unloading -------------------------------------------------------------------------------------------- */

/* A worker without anything to do is ended when its time is up, not before, not while a question is on its way, and comes
 * back with the next one. None of it counts as a death. */
static void
test_unload(void **state)
{
	(void)state;
	struct stage stage;
	struct ask ask;
	open_stage(&stage, "", program);
	struct jobs *jobs = engine_jobs(stage.engine);
	assert_false(jobs_unload(jobs)); /* nothing there */
	jobs_keep(jobs, 300000);
	ask_and_wait(&stage, &ask, "say one");
	int pid = info_of(&stage).pid;
	ask_and_wait(&stage, &ask, "sleep 400"); /* longer than it would be kept idle */
	assert_int_equal(ask.error, 0);
	assert_int_equal(info_of(&stage).pid, pid);
	uint64_t over = clock_us();
	WAIT_FOR(&stage, info_of(&stage).pid == 0);
	assert_true(clock_us() - over >= 250000);
	assert_int_equal(info_of(&stage).state, WORKER_IDLE);
	jobs_keep(jobs, 0);
	jobs_hold(jobs);
	ask_and_wait(&stage, &ask, "say two");
	assert_true(info_of(&stage).pid > 0 && info_of(&stage).pid != pid);
	for (int i = 0; i < 100; i++) {
		uv_run(&stage.loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_true(info_of(&stage).pid > 0); /* held */
	assert_false(jobs_unload(jobs));
	jobs_let_go(jobs);
	WAIT_FOR(&stage, info_of(&stage).pid == 0);
	jobs_keep(jobs, JOBS_KEEP_FOREVER);
	ask_and_wait(&stage, &ask, "say three");
	assert_string_equal(ask.text, "three");
	assert_true(jobs_unload(jobs));
	WAIT_FOR(&stage, info_of(&stage).pid == 0);
	assert_int_equal(info_of(&stage).deaths, 0);
	assert_int_equal(info_of(&stage).starts, 3);
	close_stage(&stage);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_prompts),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_bad_starts),
		cmocka_unit_test(test_missing_program),
		cmocka_unit_test(test_others_survive),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_deadline_in_queue),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_and_leave),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_destroy_with_questions),
		cmocka_unit_test(test_sigchld_ignored),
		cmocka_unit_test(test_unload),
	};
	program = argc > 1 ? argv[1] : getenv("SCRY_FAKE");
	if (program == NULL)
		return 77;
	/* libuv keeps the descriptors of its first loop. */
	uv_loop_t first;
	uv_loop_init(&first);
	uv_loop_close(&first);
	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
