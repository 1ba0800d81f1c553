/* cost.c - what scry costs beside the work itself. Prints figures beside their goals; judges nothing.
 *
 *     cost SCRY [PICTURE]      JSON=1 in the environment: one JSON document as the last line
 *
 * SCRY is the command (for the start of a whole process), PICTURE a file to look at (else one is drawn). All figures are
 * medians, so that a machine which does other things disturbs little; the best tenth shows how much it did.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

#define DESCRIBES 200
#define STARTS 30
#define STREAM_FRAMES 40
#define UNDER_WAY 3

struct figure {
	const char *name, *title, *unit;
	double value, goal;
	double quiet;  /* of the best tenth of the runs: what it is when others leave the machine alone; 0: not known */
	bool at_least; /* the goal is a lower limit */
	const char *missing;
};

static struct figure figures[8];
static unsigned figure_count;

static void
tell(struct figure figure)
{
	figures[figure_count++] = figure;
	if (figure.missing != NULL) {
		printf("%-46s %10s       (%s)\n", figure.title, "-", figure.missing);
		return;
	}
	bool good = figure.at_least ? figure.value >= figure.goal : figure.value <= figure.goal;
	printf("%-46s %10.2f %-5s goal %s %-5g", figure.title, figure.value, figure.unit,
	       figure.at_least ? ">=" : "<=", figure.goal);
	if (figure.quiet > 0)
		printf(" best tenth %.2f", figure.quiet);
	printf("%s\n", good ? "" : "   MISSED");
	fflush(stdout);
}

static double
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int
smaller_first(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

/* Sorts them, too. */
static double
median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), smaller_first);
	return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double
rss_mib(void)
{
	char line[256];
	long kib = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	return (double)kib / 1024;
}

static bool
is_available(struct scry *scry, const char *backend)
{
	const char *name;
	return scry_select(scry, backend, &name) == SCRY_OK;
}

/* One picture, waited for: the time it took and, of that, what the workers say they worked. False when it failed. */
static bool
look(struct scry *scry, struct scry_image image, const char *backend, double *took, double *worked)
{
	static const char *const parts[] = {"decode", "encode", "prompt", "generate"};
	struct scry_query query = {.backend = backend, .no_text = 1};
	struct scry_result *result;
	double began = now_ms();
	if (scry_describe(scry, image, &query, &result) != SCRY_OK) {
		fprintf(stderr, "%s: %s\n", backend, scry_error(scry));
		return false;
	}
	*took = now_ms() - began;
	*worked = 0;
	json_t *document = json_loads(scry_result_json(result), 0, NULL);
	const json_t *timings = json_object_get(document, "timings_ms");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		*worked += json_number_value(json_object_get(timings, parts[i]));
	json_decref(document);
	scry_result_free(result);
	return true;
}

static void
bench_added(struct scry *scry, struct scry_image image, const char *backend, const char *name, const char *title)
{
	static double added[DESCRIBES];
	struct figure figure = {.name = name, .title = title, .unit = "ms", .goal = 5};
	double took, worked;
	if (!is_available(scry, backend)) {
		figure.missing = "this backend is not there";
		tell(figure);
		return;
	}
	for (int i = -20; i < DESCRIBES; i++) {
		if (!look(scry, image, backend, &took, &worked))
			return;
		if (i >= 0)
			added[i] = took - worked;
	}
	figure.value = median(added, DESCRIBES);
	figure.quiet = added[DESCRIBES / 10];
	tell(figure);
}

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	if (error < 0)
		fprintf(stderr, "%s\n", sentence);
	else
		(*(unsigned *)user)++;
	scry_result_free(result);
}

/* As fast as it goes with a few under way; the median of four stretches. */
static void
bench_stream(struct scry *scry, struct scry_image image)
{
	struct figure figure = {.name = "lite_fps",
	                        .title = "frames per second, lite without text",
	                        .unit = "1/s",
	                        .goal = 25,
	                        .at_least = true};
	struct scry_query query = {.backend = "lite", .no_text = 1};
	double rates[4];
	if (!is_available(scry, "lite")) {
		figure.missing = "lite is not there";
		tell(figure);
		return;
	}
	for (unsigned stretch = 0; stretch < 4; stretch++) {
		unsigned done = 0, asked = 0, finished = 0;
		double began = now_ms();
		while (finished < STREAM_FRAMES) {
			while (asked < STREAM_FRAMES && asked - finished < UNDER_WAY &&
			       scry_submit(scry, image, &query, NULL, on_done, &done, NULL) == SCRY_OK)
				asked++;
			finished = asked - (unsigned)scry_dispatch(scry, -1);
		}
		rates[stretch] = done / (now_ms() - began) * 1e3;
	}
	figure.value = median(rates, 4);
	tell(figure);
}

/* From the start of the command to its first byte of output. */
static double
start_once(const char *command, const char *picture)
{
	extern char **environ;
	char *argv[] = {(char *)command, (char *)"describe", (char *)"-b", (char *)"none", (char *)picture, NULL};
	posix_spawn_file_actions_t actions;
	int pipes[2];
	pid_t pid;
	char byte;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	double began = now_ms();
	int error = posix_spawn(&pid, command, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	ssize_t n = error == 0 ? read(pipes[0], &byte, 1) : -1;
	double took = now_ms() - began;
	close(pipes[0]);
	if (error == 0)
		waitpid(pid, NULL, 0);
	return n == 1 ? took : -1;
}

static void
bench_start(const char *command, const char *picture)
{
	struct figure figure = {.name = "start_ms", .title = "process start to first byte, none", .unit = "ms", .goal = 30};
	double times[STARTS];
	for (int i = -3; i < STARTS; i++) {
		double took = start_once(command, picture);
		if (took < 0) {
			figure.missing = "the command says nothing";
			break;
		}
		if (i >= 0)
			times[i] = took;
	}
	if (figure.missing == NULL) {
		figure.value = median(times, STARTS);
		figure.quiet = times[STARTS / 10];
	}
	tell(figure);
}

/* The first figure: a core whose workers have started and have nothing to do. */
static void
bench_idle(struct scry *scry, struct scry_image image)
{
	double took, worked;
	look(scry, image, "fake", &took, &worked);
	for (int i = 0; i < 5; i++) {
		scene_nap_ms(20);
		scry_dispatch(scry, 0);
	}
	tell((struct figure){
		.name = "idle_rss_mib", .title = "core, idle, resident memory", .unit = "MiB", .value = rss_mib(), .goal = 8});
}

static void
print_json(void)
{
	json_t *document = json_object();
	for (unsigned i = 0; i < figure_count; i++) {
		const struct figure *figure = &figures[i];
		json_object_set_new(document, figure->name,
		                    figure->missing != NULL ?
		                        json_pack("{s:n, s:f}", "value", "goal", figure->goal) :
		                        json_pack("{s:f, s:f, s:f, s:s}", "value", figure->value, "best_tenth", figure->quiet,
		                                  "goal", figure->goal, "unit", figure->unit));
	}
	char *text = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(6));
	puts(text != NULL ? text : "{}");
	free(text);
	json_decref(document);
}

int
main(int argc, char **argv)
{
	char drawn[] = "/tmp/scry-bench-XXXXXX";
	size_t size;
	if (argc < 2)
		return 2;
	void *bytes = scene_picture(640, 480, &size);
	const char *picture = argc > 2 ? argv[2] : drawn;
	int fd = mkstemp(drawn);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) != 0)
		return 1;
	struct scry *scry = scene_open();
	struct scry_image image = scry_image_path(picture);
	printf("%s, %s\n", picture, argc > 2 ? "a photo" : "640 by 480");
	bench_idle(scry, image);
	bench_added(scry, image, "fake", "added_ms", "added by the pipeline to decode + model (fake)");
	bench_added(scry, image, "lite", "added_lite_ms", "the same with lite");
	bench_stream(scry, image);
	scry_close(scry);
	/* Of a picture that needs no decoding to speak of: it is the start that counts. */
	bench_start(argv[1], drawn);
	unlink(drawn);
	free(bytes);
	const char *json = getenv("JSON");
	if (json != NULL && strcmp(json, "1") == 0)
		print_json();
	return 0;
}
