/* test_memory.c - the core without memory: every allocation of a session fails once, in turn, and all after it.
 *
 * The core is linked statically with its allocations wrapped (--wrap, see meson.build): our own malloc, calloc, realloc,
 * strdup and vasprintf, the actions of posix_spawn, and jansson's. libuv keeps its allocator: where it cannot grow its table
 * of descriptors it aborts by design (uv__io_start, maybe_resize), in uv_loop_init() already, and nobody above can help that.
 * argv[1] or $SCRY_BUILD is the folder of scry-eye and scry-fake.
 */
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "scry.h"

static const char *folder;
static unsigned char *picture;
static size_t picture_size;

/* --- the allocator ---------------------------------------------------------------------------------------- */

static long counted, allowed = -1; /* allowed < 0: all of them */
static bool once;                  /* only one fails, those behind it do not */
static long balance;               /* allocations of ours that live */

static bool
refuse(void)
{
	counted++;
	return allowed >= 0 && (once ? counted == allowed + 1 : counted > allowed);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
int __real_vasprintf(char **out, const char *format, va_list args);
int __real_posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions);
int __real_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **out, const char *format, va_list args);
int __wrap_posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions);
int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to);

static void *
lives(void *memory)
{
	balance += memory != NULL;
	return memory;
}

void *
__wrap_malloc(size_t size)
{
	return refuse() ? NULL : lives(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return refuse() ? NULL : lives(__real_calloc(count, size));
}

void *
__wrap_realloc(void *memory, size_t size)
{
	if (refuse())
		return NULL;
	void *grown = __real_realloc(memory, size);
	balance += memory == NULL && grown != NULL;
	return grown;
}

void
__wrap_free(void *memory)
{
	balance -= memory != NULL;
	__real_free(memory);
}

char *
__wrap_strdup(const char *text)
{
	return refuse() ? NULL : lives(__real_strdup(text));
}

int
__wrap_vasprintf(char **out, const char *format, va_list args)
{
	if (refuse())
		return -1;
	int n = __real_vasprintf(out, format, args);
	balance += n >= 0;
	return n;
}

int
__wrap_posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions)
{
	return refuse() ? ENOMEM : __real_posix_spawn_file_actions_init(actions);
}

int
__wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	return refuse() ? ENOMEM : __real_posix_spawn_file_actions_adddup2(actions, from, to);
}

/* --- the session ------------------------------------------------------------------------------------------ */

struct outcome {
	int opened, error;
	bool whole; /* everything succeeded, documents included */
	unsigned ends;
	char sentence[600];
	struct scry_result *result;
};

static void
to_nowhere(void *user, enum scry_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct outcome *outcome = user;
	outcome->ends++;
	outcome->error = error;
	outcome->result = result;
	snprintf(outcome->sentence, sizeof(outcome->sentence), "%s", sentence != NULL ? sentence : "");
}

static void
ask(struct scry *scry, struct outcome *outcome)
{
	struct scry_query query = {.prompt = "items 2", .language = "eng", .deadline_ms = UNIT_PATIENCE_MS};
	struct scry_image image = scry_image_bytes(picture, picture_size);
	outcome->error = scry_submit(scry, image, &query, NULL, on_done, outcome, NULL);
	if (outcome->error < 0) {
		assert_true(scry_error(scry)[0] != '\0');
		return;
	}
	while (scry_dispatch(scry, -1) > 0)
		continue;
	assert_int_equal(outcome->ends, 1);
	if (outcome->error == 0)
		outcome->whole = true; /* the document has its own test, in test_result.c */
	else
		assert_true(outcome->sentence[0] != '\0');
	scry_result_free(outcome->result);
}

static void
tell(struct scry *scry, struct outcome *outcome)
{
	char *json = NULL;
	int error = scry_status(scry, 0, &json);
	assert_true(error == 0 || error == SCRY_E_MEMORY);
	assert_int_equal(error == 0, json != NULL);
	outcome->whole &= error == 0;
	free(json);
	json = NULL;
	error = scry_explain(scry, NULL, &json);
	assert_true(error == 0 || error == SCRY_E_MEMORY);
	assert_int_equal(error == 0, json != NULL);
	outcome->whole &= error == 0;
	free(json);
}

static struct outcome
session(void)
{
	struct outcome outcome = {.whole = false};
	struct scry_options options = {.backend = "fake", .workers = folder, .log = to_nowhere};
	struct scry *scry = NULL;
	outcome.opened = scry_open(&options, &scry);
	if (outcome.opened < 0) {
		assert_null(scry);
		return outcome;
	}
	ask(scry, &outcome);
	tell(scry, &outcome);
	scry_close(scry);
	return outcome;
}

/* Errors that want of memory may end in. A spawn that could not be prepared is the system's refusal. */
static void
check(const struct outcome *outcome, long n)
{
	int error = outcome->opened < 0 ? outcome->opened : outcome->error;
	if (error != 0 && error != SCRY_E_MEMORY && error != SCRY_E_SYSTEM)
		fail_msg("allocation %ld: %s: %s", n, scry_error_name(error), outcome->sentence);
}

static void
run_all(void)
{
	int descriptors = unit_descriptors(), children = unit_children();
	struct outcome outcome = {.whole = false};
	long n;
	for (n = 0; !outcome.whole && n < 2000; n++) {
		counted = 0;
		balance = 0;
		allowed = n;
		outcome = session();
		allowed = -1;
		check(&outcome, n);
		if (balance != 0)
			fail_msg("allocation %ld: %ld are left", n, balance);
		assert_int_equal(unit_descriptors(), descriptors);
		assert_int_equal(unit_children(), children);
		/* With one failure only, the end is when there was none. */
		if (once && counted > n)
			outcome.whole = false;
	}
	print_message("# %ld allocations, each has failed\n", n - 1);
	assert_true(outcome.whole && n > 30);
}

static void
test_from_then_on(void **state)
{
	(void)state;
	once = false;
	run_all();
}

static void
test_only_one(void **state)
{
	(void)state;
	once = true;
	run_all();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_from_then_on), cmocka_unit_test(test_only_one)};
	folder = argc > 1 ? argv[1] : getenv("SCRY_BUILD");
	if (folder == NULL)
		return 77;
	picture = unit_picture(8, 8, &picture_size);
	json_set_alloc_funcs(__wrap_malloc, __wrap_free);
	struct outcome first = session(); /* libuv keeps what its first loop made */
	if (!first.whole)
		return 1;
	int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
	__real_free(picture);
	return failed;
}
