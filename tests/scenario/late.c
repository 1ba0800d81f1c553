/* late.c - deadlines, cancels, stopped workers and memory: what a request may cost when its worker does not answer.
 *
 *     late [DESCRIBES]     of the last part (10000)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

#define QUEUE 6
#define CANCELS 120
#define GROWTH_KIB 1024L

static struct scry_image image;

struct ending {
	unsigned times;
	int error;
	uint64_t at_ms;
	char sentence[SCENE_SAID];
};

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct ending *ending = user;
	ending->times++;
	ending->error = error;
	ending->at_ms = scene_now_ms();
	snprintf(ending->sentence, sizeof(ending->sentence), "%s", sentence);
	scry_result_free(result);
}

static struct scry_request *
ask(struct scry *scry, const char *prompt, unsigned deadline_ms, struct ending *ending)
{
	struct scry_query query = {.prompt = prompt, .deadline_ms = deadline_ms};
	struct scry_request *request = NULL;
	*ending = (struct ending){0};
	int error = scry_submit(scry, image, &query, NULL, on_done, ending, &request);
	scene_check(error == 0, "\"%s\" was refused: %s", prompt, scry_error(scry));
	return request;
}

static void
run_out(struct scry *scry)
{
	while (scry_dispatch(scry, -1) > 0)
		continue;
}

static void
warm(struct scry *scry)
{
	char said[SCENE_SAID];
	scene_check(scene_describe(scry, image, "", 30000, said, NULL) == 0, "a plain request: %s", said);
}

/* A deadline holds however long the worker hangs, also for those that wait behind it. */
static void
queue_behind_a_hung_one(void)
{
	struct scry *scry = scene_open();
	struct ending endings[QUEUE];
	warm(scry);
	uint64_t began = scene_now_ms();
	for (unsigned i = 0; i < QUEUE; i++)
		ask(scry, "hang", 600 + 100 * i, &endings[i]);
	run_out(scry);
	for (unsigned i = 0; i < QUEUE; i++) {
		uint64_t due = 600 + 100 * i, took = endings[i].at_ms - began;
		scene_check(endings[i].times == 1 && endings[i].error == SCRY_E_TIMEOUT, "queued %u ended %u times, %s: %s", i,
		            endings[i].times, scry_error_name(endings[i].error), endings[i].sentence);
		scene_check(took + 2 >= due && took <= due + SCENE_SLACK_MS, "queued %u ended after %llu ms, not %llu", i,
		            (unsigned long long)took, (unsigned long long)due);
	}
	warm(scry);
	scry_close(scry);
	printf("  six behind a hung worker: each ended at its own deadline\n");
}

/* Cancelled at any moment of its life, a request ends once, and at once. */
static void
cancel_at_any_time(void)
{
	struct scry *scry = scene_open();
	uint64_t seed = scene_now_ms() | 1, slowest = 0;
	unsigned cancelled = 0;
	for (unsigned i = 0; i < CANCELS; i++) {
		struct ending ending, other;
		struct scry_request *request = ask(scry, i % 12 == 0 ? "hang" : "sleep 10", 20000, &ending);
		bool with_other = i % 4 == 0;
		if (with_other)
			ask(scry, "", 20000, &other);
		uint64_t until = scene_now_ms() + scene_random(&seed, i % 10 == 0 ? 120 : 25);
		while (ending.times == 0 && scene_now_ms() < until)
			scry_dispatch(scry, 1);
		uint64_t began = scene_now_ms();
		if (ending.times == 0)
			scry_cancel(request);
		while (ending.times == 0)
			scry_dispatch(scry, -1);
		slowest = ending.at_ms > began + slowest ? ending.at_ms - began : slowest;
		cancelled += ending.error == SCRY_E_CANCELLED;
		scene_check(ending.error == SCRY_E_CANCELLED || ending.error == 0, "a cancel became %s: %s",
		            scry_error_name(ending.error), ending.sentence);
		run_out(scry);
		scene_check(ending.times == 1, "a cancelled request ended %u times", ending.times);
		scene_check(!with_other || other.error == 0, "the one beside it: %s", other.sentence);
	}
	scene_check(cancelled > CANCELS / 4, "only %u of %d were cancelled in time", cancelled, CANCELS);
	scene_check(slowest <= SCENE_SLACK_MS, "a cancel took %llu ms", (unsigned long long)slowest);
	warm(scry);
	scry_close(scry);
	printf("  %u of %d requests cancelled, the slowest in %llu ms\n", cancelled, CANCELS, (unsigned long long)slowest);
}

/* A stopped process is the hardest case of a hang: it handles no signal but SIGKILL. */
static void
stopped(const char *program)
{
	struct scry *scry = scene_open();
	char said[SCENE_SAID];
	uint64_t ms;
	warm(scry);
	pid_t pid = (pid_t)scene_worker_number(scry, program, "pid");
	scene_check(scene_signal_child(pid, SIGSTOP), "%s cannot be stopped", program);
	int error = scene_describe(scry, image, "", 700, said, &ms);
	scene_check(error == SCRY_E_TIMEOUT && ms <= 700 + SCENE_SLACK_MS, "%s stopped: %s after %llu ms: %s", program,
	            scry_error_name(error), (unsigned long long)ms, said);
	warm(scry);
	scene_check((pid_t)scene_worker_number(scry, program, "pid") != pid, "%s is still the stopped one", program);
	pid = (pid_t)scene_worker_number(scry, program, "pid");
	scene_check(scene_signal_child(pid, SIGSTOP), "%s cannot be stopped again", program);
	uint64_t began = scene_now_ms();
	scry_close(scry);
	scene_check(scene_now_ms() - began <= 1000 + SCENE_SLACK_MS, "closing with a stopped %s took too long", program);
	printf("  %s stopped: answer after %llu ms\n", program, (unsigned long long)ms);
}

static void
close_with_requests_under_way(void)
{
	struct scry *scry = scene_open();
	struct ending endings[QUEUE];
	for (unsigned i = 0; i < QUEUE; i++)
		ask(scry, i % 2 == 0 ? "hang" : "", 20000, &endings[i]);
	scry_dispatch(scry, 40);
	uint64_t began = scene_now_ms();
	scry_close(scry);
	scene_check(scene_now_ms() - began <= 1000 + SCENE_SLACK_MS, "closing took too long");
	for (unsigned i = 0; i < QUEUE; i++)
		scene_check(endings[i].times == 1 && endings[i].error == SCRY_E_CANCELLED, "closed: ended %u times, %s",
		            endings[i].times, scry_error_name(endings[i].error));
}

static void
many(unsigned count)
{
	struct scry *scry = scene_open();
	struct ending endings[4];
	long warm_kib = 0;
	uint64_t began = scene_now_ms();
	for (unsigned done = 0; done < count; done += 4) {
		if (done >= count / 10 && warm_kib == 0)
			warm_kib = scene_anon_kib();
		for (unsigned i = 0; i < 4; i++)
			ask(scry, i == 3 ? "items 30" : "", 20000, &endings[i]);
		run_out(scry);
		for (unsigned i = 0; i < 4; i++)
			scene_check(endings[i].error == 0, "describe %u: %s", done + i, endings[i].sentence);
	}
	long grown = scene_anon_kib() - warm_kib;
	long starts = scene_worker_number(scry, "scry-eye", "starts") + scene_worker_number(scry, "scry-fake", "starts");
	printf("  %u describes in %llu ms: growth %ld KiB of %ld, %ld starts\n", count,
	       (unsigned long long)(scene_now_ms() - began), grown, warm_kib, starts);
	scene_check(SCENE_SANITIZED || grown < GROWTH_KIB, "the process grew by %ld KiB", grown);
	scene_check(starts == 2, "%ld workers were started for two", starts);
	scry_close(scry);
}

int
main(int argc, char **argv)
{
	size_t size;
	void *picture = scene_picture(160, 100, &size);
	image = scry_image_bytes(picture, size);
	scry_close(scene_open());
	unsigned fds = scene_fds();
	queue_behind_a_hung_one();
	cancel_at_any_time();
	stopped("scry-fake");
	stopped("scry-eye");
	close_with_requests_under_way();
	many(argc > 1 ? (unsigned)atoi(argv[1]) : 10000);
	scene_check(scene_fds() == fds, "%u descriptors before, %u after", fds, scene_fds());
	scene_check(!scene_has_child(), "a child process is left");
	free(picture);
	return scene_end("late");
}
