/* llama.c - scry-llama in a life: captions while it is killed, stopped and cancelled, its memory given back when idle.
 *
 * Needs a GGUF pair in $SCRY_GGUF_MODEL and $SCRY_GGUF_MMPROJ; without one it is skipped (77).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

#define DEADLINE_MS 60000
#define CLIENTS 50
#define FRAMES 200

static unsigned ends, cancelled, good;

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	(void)user;
	ends++;
	cancelled += error == SCRY_E_CANCELLED;
	good += error == 0;
	scene_check(error == 0 || error == SCRY_E_CANCELLED || error == SCRY_E_WORKER || error == SCRY_E_TIMEOUT,
	            "a client got %s: %s", scry_error_name(error), sentence);
	scry_result_free(result);
}

static struct scry *
open_llama(void)
{
	struct scry *scry = NULL;
	struct scry_options options = {.backend = "gguf"};
	if (scry_open(&options, &scry) != SCRY_OK)
		exit(1);
	return scry;
}

static int
describe(struct scry *scry, const void *picture, size_t size, const struct scry_query *query, char *said)
{
	struct scry_result *result = NULL;
	int error = scry_describe(scry, scry_image_bytes(picture, size), query, &result);
	snprintf(said, SCENE_SAID, "%s", error < 0 ? scry_error(scry) : scry_result_text(result));
	scry_result_free(result);
	return error;
}

static pid_t
worker(struct scry *scry)
{
	return (pid_t)scene_worker_number(scry, "scry-llama", "pid");
}

/* The same words before and after each fault. */
static void
test_faults(const void *picture, size_t size)
{
	struct scry *scry = open_llama();
	struct scry_query query = {.greedy = 1, .deadline_ms = DEADLINE_MS};
	char first[SCENE_SAID], said[SCENE_SAID];
	scene_check(describe(scry, picture, size, &query, first) == 0, "the first caption: %s", first);
	uint64_t seed = 4;
	for (int i = 0; i < 5; i++) {
		struct scry_request *request;
		scry_submit(scry, scry_image_bytes(picture, size), &query, NULL, on_done, NULL, &request);
		unsigned before = ends;
		for (unsigned k = scene_random(&seed, 8); k > 0 && ends == before; k--)
			scry_dispatch(scry, 2);
		if (worker(scry) > 0)
			scene_signal_child(worker(scry), SIGKILL);
		while (ends == before)
			scry_dispatch(scry, -1);
		/* A kill that came when nothing was under way is seen by the next question; the one after it is answered. */
		int error = describe(scry, picture, size, &query, said);
		if (error == SCRY_E_WORKER)
			error = describe(scry, picture, size, &query, said);
		scene_check(error == 0 && strcmp(said, first) == 0, "after a kill: %s", said);
	}
	pid_t pid = worker(scry);
	scene_signal_child(pid, SIGSTOP);
	struct scry_query quick = {.deadline_ms = 1500, .prompt = "another question"};
	uint64_t began = scene_now_ms();
	scene_check(describe(scry, picture, size, &quick, said) == SCRY_E_TIMEOUT, "a stopped worker: %s", said);
	scene_check(scene_now_ms() - began < 1500 + SCENE_SLACK_MS, "a stopped worker held us %d ms",
	            (int)(scene_now_ms() - began));
	scene_check(describe(scry, picture, size, &query, said) == 0 && strcmp(said, first) == 0, "after a stop: %s", said);
	scry_close(scry);
}

/* 50 clients that cancel at random; what is not cancelled is answered. */
static void
test_storm(const void *picture, size_t size)
{
	struct scry *scry = open_llama();
	struct scry_query query = {.greedy = 1, .deadline_ms = DEADLINE_MS};
	struct scry_request *requests[CLIENTS];
	char said[SCENE_SAID];
	uint64_t seed = 50;
	unsigned before = ends, asked = 0;
	cancelled = good = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		scry_submit(scry, scry_image_bytes(picture, size), &query, NULL, on_done, NULL, &requests[i]);
	/* Backwards, so that those still in the queue are known to be alive: the last ones are answered last. */
	for (unsigned i = CLIENTS; i > CLIENTS / 2; i--) {
		for (unsigned k = scene_random(&seed, 3); k > 0; k--)
			scry_dispatch(scry, 1);
		if (ends - before > CLIENTS / 4)
			break;
		scry_cancel(requests[i - 1]);
		asked++;
	}
	while (scry_dispatch(scry, -1) > 0)
		continue;
	scene_check(ends - before == CLIENTS, "%u of %u clients were told", ends - before, CLIENTS);
	scene_check(cancelled == asked && good == CLIENTS - asked, "%u cancelled of %u asked for, %u answered", cancelled,
	            asked, good);
	scene_check(describe(scry, picture, size, &query, said) == 0, "after the storm: %s", said);
	scry_close(scry);
}

/* KiB of a line in /proc/PID/status. */
static long
status_kib(pid_t pid, const char *key)
{
	char path[64], line[256];
	long kib = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key) + 1, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return kib;
}

static void
test_memory(void)
{
	struct scry *scry = open_llama();
	struct scry_query query = {.greedy = 1, .deadline_ms = DEADLINE_MS, .max_tokens = 8};
	char said[SCENE_SAID];
	long after_twenty = 0, at_end = 0, core = 0;
	for (int i = 0; i < FRAMES; i++) {
		size_t size;
		unsigned char *picture = scene_picture(96, 96, &size);
		memset(picture + size - 96 * 3 * 20, i, 96 * 3 * 10);
		scene_check(describe(scry, picture, size, &query, said) == 0, "frame %d: %s", i, said);
		free(picture);
		at_end = status_kib(worker(scry), "RssAnon:") + status_kib(worker(scry), "VmSwap:");
		if (i == 20) {
			after_twenty = at_end;
			core = scene_anon_kib();
		}
	}
	printf("scry-llama: RssAnon and swap %ld KiB after 20 frames, %ld KiB after %d; the core %ld and %ld KiB\n",
	       after_twenty, at_end, FRAMES, core, scene_anon_kib());
	if (SCENE_SANITIZED) /* freed memory is kept aside there */
		core = scene_anon_kib(), after_twenty = at_end;
	scene_check(at_end - after_twenty <= 4096, "the worker grew by %ld KiB", at_end - after_twenty);
	scene_check(scene_anon_kib() - core <= 512, "the core grew by %ld KiB", scene_anon_kib() - core);
	scry_close(scry);
}

static void
wait_ms(struct scry *scry, unsigned ms)
{
	for (uint64_t end = scene_now_ms() + ms; scene_now_ms() < end;) {
		scry_dispatch(scry, 0);
		scene_nap_ms(20);
	}
}

static void
test_idle(const void *picture, size_t size)
{
	struct scry *scry = open_llama();
	struct scry_query query = {.greedy = 1, .deadline_ms = DEADLINE_MS, .keep_alive_s = 1};
	char said[SCENE_SAID];
	scene_check(describe(scry, picture, size, &query, said) == 0, "%s", said);
	scene_check(worker(scry) > 0, "the worker is gone at once");
	wait_ms(scry, 3000);
	scene_check(worker(scry) == 0, "the worker is still there");
	query.keep_alive_s = -1;
	scene_check(describe(scry, picture, size, &query, said) == 0, "after an unload: %s", said);
	wait_ms(scry, 2000);
	scene_check(worker(scry) > 0, "the worker that was to be kept is gone");
	query.unload = 1;
	scene_check(describe(scry, picture, size, &query, said) == 0, "with unload: %s", said);
	wait_ms(scry, 1000);
	scene_check(worker(scry) == 0, "the worker that was to go is still there");
	scry_close(scry);
}

static void
test_admission(const void *picture, size_t size)
{
	char said[SCENE_SAID];
	setenv("SCRY_MEMORY_LIMIT_MB", "10", 1);
	struct scry *scry = open_llama();
	scene_check(describe(scry, picture, size, NULL, said) == SCRY_E_UNAVAILABLE &&
	                strstr(said, "SCRY_MEMORY_LIMIT_MB") != NULL,
	            "a limit of 10 MB: %s", said);
	scry_close(scry);
	unsetenv("SCRY_MEMORY_LIMIT_MB");
}

int
main(void)
{
	size_t size;
	const char *model = getenv("SCRY_GGUF_MODEL"), *mmproj = getenv("SCRY_GGUF_MMPROJ");
	if (model == NULL || mmproj == NULL || access(model, R_OK) < 0 || access(mmproj, R_OK) < 0) {
		puts("no GGUF pair");
		return 77;
	}
	void *picture = scene_picture(128, 128, &size);
	test_admission(picture, size);
	test_faults(picture, size);
	test_storm(picture, size);
	test_idle(picture, size);
	test_memory();
	free(picture);
	return scene_end("scry-llama");
}
