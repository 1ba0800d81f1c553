/* kill.c - workers are killed with SIGKILL at random moments, start-up included, while several requests are under way.
 *
 *     kill [KILLS]     all in all (1000)
 *
 * CORES cores on as many threads, each with a thread beside it that kills. Every request must end in the right caption
 * or in a typed error, in time; the process must not grow, leak a descriptor, or keep a dead child.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

#define CORES 3
#define UNDER_WAY 4      /* requests of a core */
#define KINDS 12         /* of enum scry_error */
#define GROWTH_KIB 1024L /* allowed */

struct core {
	struct scry *scry;
	pthread_t thread, killer;
	pid_t tid;
	unsigned kills_wanted;
	atomic_uint kills, captions;
	atomic_bool enough;
	uint64_t seed, killer_seed; /* of one thread each */
	unsigned kinds[KINDS];
	uint64_t slowest_ms;
	int under_way;
};

struct question {
	struct core *core;
	uint64_t began_ms;
	unsigned deadline_ms;
};

static void *picture;
static size_t picture_bytes;
static char expected[SCENE_SAID];

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct question *question = user;
	struct core *core = question->core;
	uint64_t took = scene_now_ms() - question->began_ms;
	if (scene_check(error <= 0 && error > -KINDS, "error %d is none", error))
		core->kinds[-error]++;
	scene_check(took <= question->deadline_ms + SCENE_SLACK_MS, "an answer (%s) took %llu ms with a deadline of %u",
	            scry_error_name(error), (unsigned long long)took, question->deadline_ms);
	if (error == 0) {
		scene_check(strcmp(scry_result_text(result), expected) == 0, "a wrong caption: %s", scry_result_text(result));
		atomic_fetch_add(&core->captions, 1);
	} else {
		scene_check(error == SCRY_E_WORKER || error == SCRY_E_TIMEOUT, "a kill became \"%s\": %s",
		            scry_error_name(error), sentence);
		scene_check(sentence[0] != '\0', "an error without a sentence");
	}
	core->slowest_ms = took > core->slowest_ms ? took : core->slowest_ms;
	core->under_way--;
	scry_result_free(result);
	free(question);
}

static void
ask(struct core *core)
{
	static const char *const prompts[] = {"", "sleep 3", "sleep 12", "items 40"};
	struct question *question = malloc(sizeof(*question));
	*question = (struct question){
		.core = core, .began_ms = scene_now_ms(), .deadline_ms = 300 + scene_random(&core->seed, 5000)};
	struct scry_query query = {.prompt = prompts[scene_random(&core->seed, 4)], .deadline_ms = question->deadline_ms};
	int error =
		scry_submit(core->scry, scry_image_bytes(picture, picture_bytes), &query, NULL, on_done, question, NULL);
	if (error == 0) {
		core->under_way++;
		return;
	}
	/* A worker that died too often rests; that is an answer, too. */
	scene_check(error == SCRY_E_WORKER, "refused with \"%s\": %s", scry_error_name(error), scry_error(core->scry));
	core->kinds[-error]++;
	free(question);
	scene_nap_ms(20);
}

static void *
run_core(void *user)
{
	struct core *core = user;
	core->tid = gettid();
	core->scry = scene_open();
	while (!atomic_load(&core->enough)) {
		while (core->under_way < UNDER_WAY && !atomic_load(&core->enough))
			ask(core);
		scry_dispatch(core->scry, 50);
	}
	while (core->under_way > 0)
		scry_dispatch(core->scry, -1);
	return NULL;
}

static bool
kill_one(struct core *core)
{
	pid_t pids[8];
	unsigned count = scene_children(core->tid, pids, 8);
	return count > 0 && scene_signal_child(pids[scene_random(&core->killer_seed, count)], SIGKILL);
}

/* Bursts of one to four kills with random pauses, then a wait for a caption: six failures in a row would end in a rest of
 * half a minute, which is right, but would make this test one of sleeping. */
static void *
run_killer(void *user)
{
	struct core *core = user;
	while (atomic_load(&core->captions) == 0)
		scene_nap_ms(2);
	while (atomic_load(&core->kills) < core->kills_wanted) {
		unsigned burst = scene_random(&core->killer_seed, 10);
		burst = burst < 6 ? 1 : burst < 8 ? 2 : burst < 9 ? 3 : 4;
		while (burst > 0) {
			scene_nap_ms(scene_random(&core->killer_seed, 60));
			if (!kill_one(core))
				continue;
			atomic_fetch_add(&core->kills, 1);
			burst--;
		}
		unsigned seen = atomic_load(&core->captions);
		while (atomic_load(&core->captions) == seen)
			scene_nap_ms(1);
	}
	atomic_store(&core->enough, true);
	return NULL;
}

static unsigned
kills_so_far(struct core *cores)
{
	unsigned sum = 0;
	for (int i = 0; i < CORES; i++)
		sum += atomic_load(&cores[i].kills);
	return sum;
}

/* Runs all cores to their end and leaves them open. Returns the memory in use when a fifth of the kills was done. */
static long
storm(struct core *cores, unsigned kills, uint64_t seed)
{
	for (int i = 0; i < CORES; i++) {
		cores[i].kills_wanted = kills / CORES + ((unsigned)i < kills % CORES);
		cores[i].seed = seed + (uint64_t)i;
		cores[i].killer_seed = seed + 100 + (uint64_t)i;
		pthread_create(&cores[i].thread, NULL, run_core, &cores[i]);
		pthread_create(&cores[i].killer, NULL, run_killer, &cores[i]);
	}
	while (kills_so_far(cores) < kills / 5)
		scene_nap_ms(5);
	long warm_kib = scene_anon_kib();
	for (int i = 0; i < CORES; i++) {
		pthread_join(cores[i].killer, NULL);
		pthread_join(cores[i].thread, NULL);
	}
	return warm_kib;
}

static void
print_table(const struct core *cores)
{
	unsigned all = 0;
	uint64_t slowest = 0;
	for (int kind = 0; kind < KINDS; kind++) {
		unsigned sum = 0;
		for (int i = 0; i < CORES; i++)
			sum += cores[i].kinds[kind];
		all += sum;
		if (sum > 0)
			printf("  %-12s %6u\n", kind == 0 ? "caption" : scry_error_name(-kind), sum);
	}
	for (int i = 0; i < CORES; i++)
		slowest = cores[i].slowest_ms > slowest ? cores[i].slowest_ms : slowest;
	printf("  %-12s %6u, the slowest in %llu ms\n", "requests", all, (unsigned long long)slowest);
}

/* What a closed core leaves: nothing. Also fills what libraries allocate once. */
static void
learn(void)
{
	struct scry *scry = scene_open();
	picture = scene_picture(160, 100, &picture_bytes);
	int error = scene_describe(scry, scry_image_bytes(picture, picture_bytes), "", 30000, expected, NULL);
	if (!scene_check(error == 0, "the first picture of all: %s", expected))
		exit(scene_end("kill"));
	scry_close(scry);
}

static void
after_the_storm(struct core *cores)
{
	char said[SCENE_SAID];
	for (int i = 0; i < CORES; i++) {
		int error = scene_describe(cores[i].scry, scry_image_bytes(picture, picture_bytes), "", 40000, said, NULL);
		scene_check(error == 0 && strcmp(said, expected) == 0, "core %d does not work any more: %s", i, said);
		scry_close(cores[i].scry);
	}
}

int
main(int argc, char **argv)
{
	static struct core cores[CORES];
	unsigned kills = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	uint64_t seed = (uint64_t)time(NULL);
	learn();
	unsigned fds = scene_fds();
	printf("%u kills in %d cores, seed %llu\n", kills, CORES, (unsigned long long)seed);
	long warm_kib = storm(cores, kills, seed);
	long grown_kib = scene_anon_kib() - warm_kib;
	print_table(cores);
	after_the_storm(cores);
	printf("  %-12s %6u\n  %-12s %6ld KiB of %ld\n", "kills", kills_so_far(cores), "growth", grown_kib, warm_kib);
	scene_check(SCENE_SANITIZED || grown_kib < GROWTH_KIB, "the process grew by %ld KiB", grown_kib);
	scene_check(scene_fds() == fds, "%u descriptors before, %u after", fds, scene_fds());
	scene_check(!scene_has_child(), "a child process is left");
	free(picture);
	return scene_end("kill");
}
