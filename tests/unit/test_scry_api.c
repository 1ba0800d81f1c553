/* test_scry_api.c - libscry as its users see it: scry.h alone, the shared library, real workers of the build folder.
 *
 * argv[1] or $SCRY_BUILD is the folder that holds scry-eye and scry-fake.
 */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "scry.h"

static const char *folder;
static unsigned char *picture;
static size_t picture_size;

/* What came of one request. */
struct ask {
	struct scry *scry;
	unsigned ends, pieces;
	int error;
	char text[512], sentence[600];
	struct scry_result *result;
	struct scry_request *other; /* to be cancelled from inside the callback */
	int inside;                 /* what calls from inside of the callback returned */
};

static void
on_piece(void *user, const char *text)
{
	struct ask *ask = user;
	ask->pieces++;
	snprintf(ask->text + strlen(ask->text), sizeof(ask->text) - strlen(ask->text), "%s", text);
}

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct ask *ask = user;
	ask->ends++;
	ask->error = error;
	ask->result = result;
	snprintf(ask->sentence, sizeof(ask->sentence), "%s", sentence != NULL ? sentence : "");
	assert_int_equal(error == 0, result != NULL);
	if (ask->other != NULL)
		scry_cancel(ask->other);
}

static void
to_nowhere(void *user, enum scry_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

static struct scry *
open_core(const char *backend)
{
	struct scry_options options = {.backend = backend, .workers = folder, .log = to_nowhere};
	struct scry *scry = NULL;
	assert_int_equal(scry_open(&options, &scry), SCRY_OK);
	assert_non_null(scry);
	return scry;
}

static struct scry_image
image(void)
{
	return scry_image_bytes(picture, picture_size);
}

static struct scry_request *
submit(struct scry *scry, struct ask *ask, const char *prompt)
{
	struct scry_query query = {.prompt = prompt, .deadline_ms = UNIT_PATIENCE_MS};
	struct scry_request *request = NULL;
	*ask = (struct ask){.scry = scry};
	assert_int_equal(scry_submit(scry, image(), &query, on_piece, on_done, ask, &request), SCRY_OK);
	assert_non_null(request);
	assert_int_equal(ask->ends, 0);
	return request;
}

static void
finish(struct scry *scry)
{
	while (scry_dispatch(scry, -1) > 0)
		continue;
}

static void
expect_in(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static double
now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- one picture ------------------------------------------------------------------------------------------ */

static void
test_describe(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct scry_result *result = NULL;
	struct scry_label label = {.label = "untouched"};
	assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_OK);
	expect_in(scry_result_text(result), "A frame of 64 by 48 pixels, hash ");
	assert_string_equal(scry_result_backend(result), "fake");
	expect_in(scry_result_json(result), "\"frame\":{\"width\":64,\"height\":48,");
	assert_int_equal(scry_result_label(result, 0, &label), SCRY_E_ARGUMENT);
	assert_string_equal(label.label, "untouched");
	scry_result_free(result);
	struct scry_query query = {.prompt = "items 3"};
	assert_int_equal(scry_describe(scry, image(), &query, &result), SCRY_OK);
	assert_int_equal(scry_result_label(result, 2, &label), SCRY_OK);
	assert_string_equal(label.label, "Thing");
	assert_true(label.p == 0.5f && label.width == 32 && label.height == 24);
	assert_int_equal(scry_result_label(result, 3, &label), SCRY_E_ARGUMENT);
	assert_int_equal(scry_result_label(result, SIZE_MAX, &label), SCRY_E_ARGUMENT);
	scry_close(scry);
	/* A result outlives its core. */
	assert_non_null(scry_result_json(result));
	scry_result_free(result);
}

/* From bytes, from a descriptor (whatever its position), from a path: one picture, one hash. */
static void
test_sources(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	char texts[3][200], path[64];
	int fd = memfd_create("picture", MFD_CLOEXEC);
	assert_int_equal(write(fd, picture, picture_size), picture_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct scry_image images[3] = {image(), scry_image_fd(fd), scry_image_path(path)};
	for (int i = 0; i < 3; i++) {
		struct scry_result *result = NULL;
		assert_int_equal(scry_describe(scry, images[i], NULL, &result), SCRY_OK);
		snprintf(texts[i], sizeof(texts[i]), "%s", scry_result_text(result));
		scry_result_free(result);
	}
	assert_string_equal(texts[0], texts[1]);
	assert_string_equal(texts[0], texts[2]);
	scry_close(scry);
	close(fd);
}

static void
test_backend_none(void **state)
{
	(void)state;
	struct scry *scry = open_core("none");
	struct scry_result *result = NULL;
	assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_OK);
	assert_string_equal(scry_result_text(result), "");
	assert_string_equal(scry_result_backend(result), "none");
	scry_result_free(result);
	scry_close(scry);
}

/* --- the loop --------------------------------------------------------------------------------------------- */

/* As a program with a loop of its own does it: poll on scry_fd() and dispatch without waiting. */
static void
test_poll_loop(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct ask asks[3];
	int fd = scry_fd(scry), left = 3;
	assert_int_equal(scry_dispatch(scry, 0), 0);
	for (int i = 0; i < 3; i++)
		submit(scry, &asks[i], i == 1 ? "sleep 200" : "say one two");
	while (left > 0) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		/* Time-outs of a worker's start and of deadlines are behind the descriptor as well. */
		assert_int_equal(poll(&pfd, 1, (int)UNIT_PATIENCE_MS), 1);
		left = scry_dispatch(scry, 0);
		assert_true(left >= 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(asks[i].ends, 1);
		assert_int_equal(asks[i].error, 0);
		assert_string_equal(asks[i].text, scry_result_text(asks[i].result));
		assert_true(asks[i].pieces > 1);
		scry_result_free(asks[i].result);
	}
	/* Nothing under way: the descriptor is quiet (a worker's ping is seconds away). */
	scry_dispatch(scry, 0);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 50), 0);
	scry_close(scry);
}

/* A deadline is behind the descriptor too: nothing else moves while the worker hangs. */
static void
test_deadline_by_poll(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct scry_query query = {.prompt = "hang", .deadline_ms = 400};
	struct ask ask = {.scry = scry};
	struct scry_result *first = NULL;
	/* The workers are there before the clock runs: how long a start takes is the machine's business. */
	assert_int_equal(scry_describe(scry, image(), NULL, &first), SCRY_OK);
	scry_result_free(first);
	double begin = now();
	assert_int_equal(scry_submit(scry, image(), &query, NULL, on_done, &ask, NULL), SCRY_OK);
	while (ask.ends == 0) {
		struct pollfd pfd = {.fd = scry_fd(scry), .events = POLLIN};
		assert_int_equal(poll(&pfd, 1, (int)UNIT_PATIENCE_MS), 1);
		scry_dispatch(scry, 0);
	}
	assert_true(now() - begin > 0.39 && now() - begin < 10);
	assert_int_equal(ask.error, SCRY_E_TIMEOUT);
	expect_in(ask.sentence, "the picture: the deadline passed while the worker was at it");
	scry_close(scry);
}

/* scry_dispatch(0) never waits, a finite time-out is kept, and without requests -1 returns at once. */
static void
test_dispatch_times(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct ask ask;
	struct scry_result *first = NULL;
	assert_int_equal(scry_describe(scry, image(), NULL, &first), SCRY_OK);
	scry_result_free(first);
	double begin = now();
	for (int i = 0; i < 100; i++)
		scry_dispatch(scry, 0);
	assert_int_equal(scry_dispatch(scry, -1), 0);
	assert_true(now() - begin < 10);
	submit(scry, &ask, "hang");
	begin = now();
	while (now() - begin < 1) /* until it hangs */
		scry_dispatch(scry, 20);
	begin = now();
	assert_int_equal(scry_dispatch(scry, 100), 1);
	assert_true(now() - begin > 0.09 && now() - begin < 10);
	scry_close(scry);
	assert_int_equal(ask.error, SCRY_E_CANCELLED);
}

/* --- ends ------------------------------------------------------------------------------------------------- */

static void
test_cancel(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct ask first, second, third;
	struct scry_request *one = submit(scry, &first, "sleep 60000");
	struct scry_request *two = submit(scry, &second, "say two");
	struct scry_request *three = submit(scry, &third, "say three");
	scry_cancel(NULL);
	scry_cancel(two); /* before anything has run */
	scry_cancel(two);
	assert_int_equal(second.ends, 0); /* never from inside of the call */
	scry_dispatch(scry, 0);
	assert_int_equal(second.ends, 1);
	assert_int_equal(second.error, SCRY_E_CANCELLED);
	expect_in(second.sentence, "the picture: cancelled");
	double begin = now();
	while (now() - begin < 0.5)
		scry_dispatch(scry, 20);
	scry_cancel(one);
	finish(scry);
	assert_int_equal(first.error, SCRY_E_CANCELLED);
	assert_int_equal(third.error, 0);
	assert_int_equal(first.ends + second.ends + third.ends, 3);
	scry_result_free(third.result);
	(void)three;
	scry_close(scry);
}

/* A callback cancels another request. */
static void
test_cancel_in_callback(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct ask first, second;
	submit(scry, &first, "say first");
	first.other = submit(scry, &second, "sleep 60000");
	finish(scry);
	assert_int_equal(first.error, 0);
	assert_int_equal(second.error, SCRY_E_CANCELLED);
	scry_result_free(first.result);
	scry_close(scry);
}

static void
on_done_calls(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct ask *ask = user;
	struct scry_result *more = NULL;
	char *json = NULL;
	on_done(user, error, sentence, result);
	assert_int_equal(scry_dispatch(ask->scry, 0), SCRY_E_ARGUMENT);
	assert_int_equal(scry_describe(ask->scry, image(), NULL, &more), SCRY_E_ARGUMENT);
	expect_in(scry_error(ask->scry), "cannot be called from a callback");
	assert_int_equal(scry_status(ask->scry, 1, &json), SCRY_E_ARGUMENT);
	assert_int_equal(scry_status(ask->scry, 0, &json), SCRY_OK);
	free(json);
	ask->inside = scry_submit(ask->scry, image(), NULL, NULL, on_done, user, NULL);
}

/* What a callback may call, and what not; a new request is what it may. */
static void
test_calls_in_callback(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct ask ask = {.scry = scry};
	assert_int_equal(scry_submit(scry, image(), NULL, NULL, on_done_calls, &ask, NULL), SCRY_OK);
	while (ask.ends < 1)
		scry_dispatch(scry, -1);
	assert_int_equal(ask.inside, SCRY_OK);
	scry_result_free(ask.result);
	finish(scry);
	assert_int_equal(ask.ends, 2);
	assert_int_equal(ask.error, 0);
	scry_result_free(ask.result);
	scry_close(scry);
}

/* Closed with requests at each stage: every callback runs, once, and cannot begin anything new. */
static void
test_close_under_way(void **state)
{
	(void)state;
	int descriptors = unit_descriptors(), children = unit_children();
	for (int wait_ms = 0; wait_ms <= 400; wait_ms += 200) {
		struct scry *scry = open_core("fake");
		struct ask asks[6];
		for (int i = 0; i < 6; i++) {
			asks[i] = (struct ask){.scry = scry};
			struct scry_query query = {.prompt = "hang", .deadline_ms = UNIT_PATIENCE_MS};
			assert_int_equal(
				scry_submit(scry, image(), &query, NULL, i % 2 == 0 ? on_done : on_done_calls, &asks[i], NULL),
				SCRY_OK);
		}
		double begin = now();
		while ((now() - begin) * 1000 < wait_ms)
			scry_dispatch(scry, 10);
		scry_close(scry);
		for (int i = 0; i < 6; i++) {
			assert_int_equal(asks[i].ends, 1);
			assert_int_equal(asks[i].error, SCRY_E_CANCELLED);
			expect_in(asks[i].sentence, "the picture: the core was closed");
			assert_int_equal(asks[i].inside, i % 2 == 0 ? 0 : SCRY_E_CANCELLED);
		}
	}
	scry_close(NULL);
	assert_int_equal(unit_descriptors(), descriptors);
	assert_int_equal(unit_children(), children);
}

/* --- calls that are wrong --------------------------------------------------------------------------------- */

static void
test_nulls(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct scry_result *result = (struct scry_result *)&folder, *untouched = result;
	struct scry_request *request = (struct scry_request *)&folder;
	const char *name = "untouched";
	char *json = (char *)&folder;
	assert_int_equal(scry_open(NULL, NULL), SCRY_E_ARGUMENT);
	assert_string_equal(scry_error(NULL), "");
	assert_string_equal(scry_error(scry), "");
	assert_int_equal(scry_backends(NULL, NULL, 0), SCRY_E_ARGUMENT);
	assert_int_equal(scry_backends(scry, NULL, 1), SCRY_E_ARGUMENT);
	assert_true(scry_error(scry)[0] != '\0'); /* each failure leaves its sentence */
	assert_int_equal(scry_select(NULL, NULL, &name), SCRY_E_ARGUMENT);
	assert_int_equal(scry_select(scry, NULL, NULL), SCRY_E_ARGUMENT);
	expect_in(scry_error(scry), "scry_select");
	assert_int_equal(scry_select(scry, "bogus", &name), SCRY_E_ARGUMENT);
	expect_in(scry_error(scry), "no backend is called \"bogus\"");
	assert_int_equal(scry_select(scry, "clip", &name), SCRY_E_UNAVAILABLE);
	assert_string_equal(name, "untouched");
	assert_int_equal(scry_describe(NULL, image(), NULL, &result), SCRY_E_ARGUMENT);
	assert_int_equal(scry_describe(scry, image(), NULL, NULL), SCRY_E_ARGUMENT);
	expect_in(scry_error(scry), "scry_describe");
	assert_int_equal(scry_submit(scry, image(), NULL, NULL, NULL, NULL, &request), SCRY_E_ARGUMENT);
	assert_int_equal(scry_submit(NULL, image(), NULL, NULL, on_done, NULL, &request), SCRY_E_ARGUMENT);
	assert_ptr_equal(request, (struct scry_request *)&folder);
	assert_int_equal(scry_fd(NULL), SCRY_E_ARGUMENT);
	assert_int_equal(scry_dispatch(NULL, 0), SCRY_E_ARGUMENT);
	assert_int_equal(scry_status(NULL, 0, &json), SCRY_E_ARGUMENT);
	assert_int_equal(scry_status(scry, 0, NULL), SCRY_E_ARGUMENT);
	assert_int_equal(scry_explain(NULL, NULL, &json), SCRY_E_ARGUMENT);
	assert_int_equal(scry_explain(scry, NULL, NULL), SCRY_E_ARGUMENT);
	assert_int_equal(scry_explain(scry, "bogus", &json), SCRY_E_ARGUMENT);
	assert_ptr_equal(json, (char *)&folder);
	assert_string_equal(scry_result_text(NULL), "");
	assert_string_equal(scry_result_backend(NULL), "");
	assert_null(scry_result_json(NULL));
	assert_int_equal(scry_result_label(NULL, 0, NULL), SCRY_E_ARGUMENT);
	scry_result_free(NULL);
	assert_ptr_equal(result, untouched);
	scry_close(scry);
}

static void
test_bad_requests(void **state)
{
	(void)state;
	char *longest = malloc(65538);
	memset(longest, 'p', 65537);
	longest[65537] = '\0';
	const struct {
		struct scry_image image;
		struct scry_query query;
		int error;
		const char *sentence;
	} cases[] = {
		{image(), {.backend = "bogus"}, SCRY_E_ARGUMENT, "no backend is called"},
		{image(), {.backend = "clip"}, SCRY_E_UNAVAILABLE, "cannot be used"},
		{image(), {.prompt = longest}, SCRY_E_LIMIT, "the prompt is longer than 65536 bytes"},
		{image(), {.prompt = "\xff"}, SCRY_E_ARGUMENT, "the prompt is not valid UTF-8"},
		{image(), {.max_tokens = 4097}, SCRY_E_ARGUMENT, "at most 4096 tokens"},
		{image(), {.deadline_ms = 3600001}, SCRY_E_ARGUMENT, "a deadline is at most 3600000 ms"},
		{image(), {.language = "../../etc/passwd"}, SCRY_E_ARGUMENT, "is not a list of Tesseract languages"},
		{image(), {.language = longest}, SCRY_E_ARGUMENT, "is not a list of Tesseract languages"},
		{scry_image_path("/nowhere/cat.jpg"), {0}, SCRY_E_INPUT, "/nowhere/cat.jpg: there is no such file"},
		{scry_image_path("/"), {0}, SCRY_E_INPUT, "/: it is a folder"},
		{scry_image_bytes("", 0), {0}, SCRY_E_INPUT, "the picture: it is empty"},
		{scry_image_fd(-1), {0}, SCRY_E_ARGUMENT, "the picture: the descriptor -1 is not open"},
		{scry_image_bytes("no picture at all", 17), {0}, SCRY_E_INPUT, "the picture: "},
	};
	struct scry *scry = open_core("fake");
	int descriptors = unit_descriptors();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scry_result *result = (struct scry_result *)&folder;
		int error = scry_describe(scry, cases[i].image, &cases[i].query, &result);
		if (error != cases[i].error)
			fail_msg("case %zu: %s, %s", i, scry_error_name(error), scry_error(scry));
		expect_in(scry_error(scry), cases[i].sentence);
		assert_ptr_equal(result, (struct scry_result *)&folder);
		if (i == 0)
			descriptors = unit_descriptors();
	}
	scry_close(scry);
	(void)descriptors;
	free(longest);
}

/* Control characters of a name, and bytes that are not UTF-8, do not reach a terminal. */
static void
test_names_in_sentences(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct scry_result *result;
	assert_int_equal(scry_describe(scry, scry_image_path("/nowhere/\x1b[31m\xff.jpg"), NULL, &result), SCRY_E_INPUT);
	assert_string_equal(scry_error(scry), "/nowhere/?[31m?.jpg: there is no such file");
	struct scry_image named = scry_image_bytes("", 0);
	named.name = "my picture";
	assert_int_equal(scry_describe(scry, named, NULL, &result), SCRY_E_INPUT);
	assert_string_equal(scry_error(scry), "my picture: it is empty");
	scry_close(scry);
}

static void
test_error_names(void **state)
{
	(void)state;
	static const char *const names[] = {"ok",     "argument",    "memory",    "input", "limit", "timeout",
	                                    "worker", "unavailable", "cancelled", "busy",  "model", "system"};
	for (int i = 0; i < (int)COUNT(names); i++)
		assert_string_equal(scry_error_name(-i), names[i]);
	assert_string_equal(scry_error_name(1), "unknown");
	assert_string_equal(scry_error_name(-12), "unknown");
	assert_string_equal(scry_error_name(-2147483647 - 1), "unknown");
	assert_string_equal(scry_version(), SCRY_VERSION);
}

/* --- tables and documents --------------------------------------------------------------------------------- */

static void
test_backends(void **state)
{
	(void)state;
	struct scry *scry = open_core(NULL);
	struct scry_backend rows[10] = {{.name = NULL}};
	const char *name = NULL;
	char *json = NULL;
	assert_int_equal(scry_backends(scry, NULL, 0), 9);
	assert_int_equal(scry_backends(scry, rows, 2), 9);
	assert_null(rows[2].name);
	assert_int_equal(scry_backends(scry, rows, 10), 9);
	assert_null(rows[9].name);
	for (int i = 0; i < 9; i++)
		assert_true(rows[i].title[0] != '\0' && rows[i].why[0] != '\0');
	assert_string_equal(rows[6].name, "none");
	assert_int_equal(rows[6].available, 1);
	setenv("SCRY_VISION_BACKEND", "none", 1);
	assert_int_equal(scry_select(scry, NULL, &name), SCRY_OK);
	assert_string_equal(name, "none");
	assert_int_equal(scry_explain(scry, NULL, &json), SCRY_OK);
	expect_in(json, "{\"backend\":\"none\",\"steps\":[{\"rule\":\"SCRY_VISION_BACKEND=none\",\"chosen\":true");
	free(json);
	unsetenv("SCRY_VISION_BACKEND");
	assert_int_equal(scry_select(scry, "fake", &name), SCRY_OK);
	assert_string_equal(name, "fake");
	scry_close(scry);
}

static void
test_status(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	struct scry_result *result;
	char *json = NULL;
	assert_int_equal(scry_status(scry, 0, &json), SCRY_OK);
	expect_in(json, "\"version\":\"" SCRY_VERSION "\"");
	expect_in(json, "\"workers\":[]");
	free(json);
	struct scry_query query = {.prompt = "abort"};
	assert_int_equal(scry_describe(scry, image(), &query, &result), SCRY_E_WORKER);
	assert_int_equal(scry_status(scry, 0, &json), SCRY_OK);
	expect_in(json, "\"program\":\"scry-eye\",\"state\":\"READY\"");
	expect_in(json, "\"program\":\"scry-fake\",\"state\":\"BACKOFF\",\"pid\":0,\"starts\":1,\"deaths\":1");
	expect_in(json, "these are my last words");
	free(json);
	scry_close(scry);
}

static void
test_probe(void **state)
{
	(void)state;
	struct scry *scry = open_core("fake");
	char *json = NULL;
	assert_int_equal(scry_status(scry, 1, &json), SCRY_OK);
	expect_in(json, "\"program\":\"scry-eye\"");
	expect_in(json, "\"program\":\"scry-fake\"");
	expect_in(json, "\"socket\":\"denied\",\"exec\":\"denied\"");
	assert_null(strstr(json, "ALLOWED"));
	free(json);
	scry_close(scry);
}

/* A folder without workers is said to be one, at once, and each time. */
static void
test_no_workers(void **state)
{
	(void)state;
	struct scry_options options = {.backend = "none", .workers = "/nowhere/\xff", .log = to_nowhere};
	struct scry *scry;
	struct scry_result *result;
	char *json = NULL;
	assert_int_equal(scry_open(&options, &scry), SCRY_OK);
	assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_E_UNAVAILABLE);
	expect_in(scry_error(scry), "cannot start /nowhere/?/scry-eye: No such file or directory");
	for (int i = 0; i < 20; i++)
		assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_E_UNAVAILABLE);
	assert_int_equal(scry_status(scry, 0, &json), SCRY_OK);
	expect_in(json, "\"workers_folder\":\"/nowhere/?\"");
	free(json);
	scry_close(scry);
}

/* --- the host's process ----------------------------------------------------------------------------------- */

static void *
own_core(void *user)
{
	struct scry *scry = open_core("fake");
	for (int i = 0; i < 20; i++) {
		struct scry_result *result = NULL;
		struct scry_query query = {.prompt = i % 5 == 4 ? "crash" : "say fine"};
		int error = scry_describe(scry, image(), &query, &result);
		if (error != (i % 5 == 4 ? SCRY_E_WORKER : SCRY_OK))
			*(int *)user = error;
		scry_result_free(error == 0 ? result : NULL);
	}
	scry_close(scry);
	return NULL;
}

/* Two cores on two threads do not know each other. */
static void
test_two_threads(void **state)
{
	(void)state;
	pthread_t threads[2];
	int errors[2] = {0, 0};
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, own_core, &errors[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(errors[i], 0);
	}
}

static void
count_child(int signal)
{
	(void)signal;
}

/* The host's handlers are its own. */
static void
test_signals_untouched(void **state)
{
	(void)state;
	struct sigaction mine = {.sa_handler = count_child, .sa_flags = SA_RESTART}, after;
	struct scry_result *result = NULL;
	sigaction(SIGCHLD, &mine, NULL);
	struct scry *scry = open_core("fake");
	assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_OK);
	sigaction(SIGCHLD, NULL, &after);
	assert_ptr_equal(after.sa_handler, count_child);
	sigaction(SIGPIPE, NULL, &after);
	assert_ptr_equal(after.sa_handler, SIG_DFL);
	scry_result_free(result);
	scry_close(scry);
	signal(SIGCHLD, SIG_DFL);
}

/* A host without standard descriptors: libuv must not get them. */
static void
test_closed_standard_descriptors(void **state)
{
	(void)state;
	int kept[3];
	struct scry_result *result = NULL;
	fflush(stdout);
	for (int fd = 0; fd < 3; fd++) {
		kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* not one of the three */
		close(fd);
	}
	struct scry *scry = open_core("fake");
	int error = scry_describe(scry, image(), NULL, &result);
	scry_close(scry);
	for (int fd = 0; fd < 3; fd++) {
		dup2(kept[fd], fd);
		close(kept[fd]);
	}
	assert_int_equal(error, SCRY_OK);
	scry_result_free(result);
}

/* Opened and closed over and over: nothing stays. */
static void
test_open_close(void **state)
{
	(void)state;
	int descriptors = unit_descriptors();
	long rss = 0;
	for (int i = 0; i < 400; i++) {
		scry_close(open_core("fake"));
		if (i == 50)
			rss = unit_rss_kb();
	}
	print_message("# 350 times open and close: %+ld KiB\n", unit_rss_kb() - rss);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(unit_rss_kb() - rss < 256);
#endif
	for (int i = 0; i < 12; i++) {
		struct scry *scry = open_core("fake");
		struct scry_result *result = NULL;
		assert_int_equal(scry_describe(scry, image(), NULL, &result), SCRY_OK);
		scry_result_free(result);
		scry_close(scry);
		if (i == 2)
			rss = unit_rss_kb();
	}
	print_message("# 9 times with a picture each: %+ld KiB\n", unit_rss_kb() - rss);
	assert_int_equal(unit_descriptors(), descriptors);
	assert_int_equal(unit_children(), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_backend_none),
		cmocka_unit_test(test_poll_loop),
		cmocka_unit_test(test_deadline_by_poll),
		cmocka_unit_test(test_dispatch_times),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_in_callback),
		cmocka_unit_test(test_calls_in_callback),
		cmocka_unit_test(test_close_under_way),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_names_in_sentences),
		cmocka_unit_test(test_error_names),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_no_workers),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_signals_untouched),
		cmocka_unit_test(test_closed_standard_descriptors),
		cmocka_unit_test(test_open_close),
	};
	folder = argc > 1 ? argv[1] : getenv("SCRY_BUILD");
	if (folder == NULL)
		return 77;
	unsetenv("SCRY_VISION_BACKEND");
	unsetenv("HEVOLVE_VISION_BACKEND");
	scry_close(open_core(NULL)); /* libuv keeps the descriptors of its first loop */
	picture = unit_picture(64, 48, &picture_size);
	int failed = cmocka_run_group_tests_name("scry_api", tests, NULL, NULL);
	free(picture);
	return failed;
}
