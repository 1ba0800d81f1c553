/* lie.c - engines that lie, crash, hang, refuse and flood, mixed at random with good requests, several under way.
 *
 * The fake engine does what the prompt says (child_fake.c). Each kind must end in the error that fits; a good request must
 * get its caption whatever its neighbours did, but for one that follows "lie twice": the second answer is found out while the
 * next request may already be at the worker, which dies for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

#define REQUESTS 90
#define UNDER_WAY 4
#define BAD_IN_A_ROW 3 /* six failures in a row would make the worker rest */

static const struct kind {
	const char *prompt;
	int error; /* what it must end in */
	const char *fragment;
	unsigned deadline_ms;
} kinds[] = {
	{"", 0, "A frame of 160 by 100", 20000},
	{"say it is good", 0, "it is good", 20000},
	{"sleep 30", 0, "A frame of 160 by 100", 20000},
	{"items 4096", 0, "A frame of 160 by 100", 20000},
	{"fail", SCRY_E_MODEL, "told to fail", 20000},
	{"crash", SCRY_E_WORKER, "scry-fake", 20000},
	{"abort", SCRY_E_WORKER, SCENE_SANITIZED ? "scry-fake" : "last words", 20000},
	{"exit", SCRY_E_WORKER, "status 7", 20000},
	{"hang", SCRY_E_TIMEOUT, "deadline", 0},
	{"items 5000", SCRY_E_WORKER, "dropped", 20000},
	{"lie magic", SCRY_E_WORKER, "dropped", 20000},
	{"lie size", SCRY_E_WORKER, "dropped", 20000},
	{"lie unterminated", SCRY_E_WORKER, "dropped", 20000},
	{"lie utf8", SCRY_E_WORKER, "dropped", 20000},
	{"lie length", SCRY_E_WORKER, "dropped", 20000},
	{"lie request", SCRY_E_WORKER, "dropped", 20000},
	{"lie number", SCRY_E_WORKER, "dropped", 20000},
	{"lie role", SCRY_E_WORKER, "dropped", 20000},
	{"lie flood", SCRY_E_WORKER, "dropped", 20000},
	{"lie twice", 0, "", 20000},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define GOOD 4
#define TWICE (KINDS - 1)

static struct request {
	const struct kind *kind;
	bool over, after_twice;
	uint64_t began_ms;
	unsigned deadline_ms;
} requests[REQUESTS];
static unsigned under_way;
static uint64_t slowest_ms;

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct request *request = user;
	const struct kind *kind = request->kind;
	const char *said = error == 0 ? scry_result_text(result) : sentence;
	uint64_t took = scene_now_ms() - request->began_ms;
	scene_check(!request->over, "\"%s\" ended twice", kind->prompt);
	request->over = true;
	under_way--;
	slowest_ms = took > slowest_ms ? took : slowest_ms;
	scene_check(took <= request->deadline_ms + SCENE_SLACK_MS, "\"%s\" took %llu ms", kind->prompt,
	            (unsigned long long)took);
	if (!request->after_twice || error != SCRY_E_WORKER) {
		scene_check(error == kind->error, "\"%s\" ended in %s: %s", kind->prompt, scry_error_name(error), said);
		scene_check(strstr(said, kind->fragment) != NULL, "\"%s\" without \"%s\": %s", kind->prompt, kind->fragment,
		            said);
	}
	scry_result_free(result);
}

static void
ask(struct scry *scry, struct request *request, struct scry_image image)
{
	request->began_ms = scene_now_ms();
	/* One that hangs is at the worker last, and not before its deadline; the wait for its predecessors counts. */
	request->deadline_ms = request->kind->deadline_ms != 0 ? request->kind->deadline_ms : 4000;
	struct scry_query query = {.prompt = request->kind->prompt, .deadline_ms = request->deadline_ms};
	int error = scry_submit(scry, image, &query, NULL, on_done, request, NULL);
	if (scene_check(error == 0, "\"%s\" was refused: %s", request->kind->prompt, scry_error(scry)))
		under_way++;
}

/* Every kind once in random order with good ones between, then at random. */
static void
deal(uint64_t seed)
{
	unsigned bad = 0, next = GOOD;
	for (unsigned i = 0; i < REQUESTS; i++) {
		bool good = bad == BAD_IN_A_ROW || scene_random(&seed, 2) == 0;
		unsigned pick = good ? scene_random(&seed, GOOD) :
			next < KINDS     ? next++ :
							   GOOD + scene_random(&seed, KINDS - GOOD);
		requests[i].kind = &kinds[pick];
		requests[i].after_twice = i > 0 && requests[i - 1].kind == &kinds[TWICE];
		bad = good ? 0 : bad + 1;
	}
	scene_check(next == KINDS, "not every kind came up");
}

int
main(void)
{
	size_t size;
	uint64_t seed = (uint64_t)time(NULL);
	void *picture = scene_picture(160, 100, &size);
	struct scry_image image = scry_image_bytes(picture, size);
	scry_close(scene_open());
	unsigned fds = scene_fds();
	struct scry *scry = scene_open();
	printf("%d requests, %zu kinds, seed %llu\n", REQUESTS, KINDS, (unsigned long long)seed);
	deal(seed);
	for (unsigned i = 0; i < REQUESTS; i++) {
		while (under_way >= UNDER_WAY)
			scry_dispatch(scry, -1);
		ask(scry, &requests[i], image);
	}
	while (under_way > 0)
		scry_dispatch(scry, -1);
	for (unsigned i = 0; i < REQUESTS; i++)
		scene_check(requests[i].over, "\"%s\" never ended", requests[i].kind->prompt);
	printf("  engine: %ld starts, %ld deaths; eye: %ld starts; the slowest request in %llu ms\n",
	       scene_worker_number(scry, "scry-fake", "starts"), scene_worker_number(scry, "scry-fake", "deaths"),
	       scene_worker_number(scry, "scry-eye", "starts"), (unsigned long long)slowest_ms);
	scene_check(scene_worker_number(scry, "scry-eye", "deaths") == 0, "the eye died of an engine's lies");
	scry_close(scry);
	scene_check(scene_fds() == fds, "%u descriptors before, %u after", fds, scene_fds());
	scene_check(!scene_has_child(), "a child process is left");
	free(picture);
	return scene_end("lie");
}
