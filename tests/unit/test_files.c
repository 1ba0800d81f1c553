/* test_files.c - where model files and languages are looked for, and where worker programs are. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/files.h"
#include "run/launch.h"

static void
clear_environment(void)
{
	static const char *const names[] = {"SCRY_MODELS", "XDG_DATA_HOME", "HOME", "TESSDATA_PREFIX", "SCRY_WORKERS"};
	for (size_t i = 0; i < COUNT(names); i++)
		unsetenv(names[i]);
}

static void
expect_places(const char *models, const char *const *wanted, unsigned count)
{
	struct files_places places;
	memset(&places, 0x5a, sizeof(places));
	files_places(models, &places);
	assert_int_equal(places.count, count + 2);
	for (unsigned i = 0; i < count; i++)
		assert_string_equal(places.folder[i], wanted[i]);
	assert_string_equal(places.folder[count], "/var/lib/scry/models");
	assert_string_equal(files_home(&places), count > 0 ? wanted[0] : "");
}

static void
test_places(void **state)
{
	(void)state;
	char longest[FILES_PATH + 10];
	clear_environment();
	expect_places(NULL, NULL, 0);
	expect_places("", NULL, 0);
	setenv("HOME", "/home/eve", 1);
	expect_places(NULL, (const char *[]){"/home/eve/.local/share/scry/models"}, 1);
	setenv("XDG_DATA_HOME", "/data", 1);
	expect_places(NULL, (const char *[]){"/data/scry/models"}, 1);
	setenv("XDG_DATA_HOME", "relative", 1); /* invalid, says the specification */
	expect_places(NULL, (const char *[]){"/home/eve/.local/share/scry/models"}, 1);
	setenv("HOME", "relative", 1);
	expect_places(NULL, NULL, 0);
	setenv("SCRY_MODELS", "", 1);
	expect_places(NULL, NULL, 0);
	setenv("SCRY_MODELS", "/set", 1);
	setenv("HOME", "/home/eve", 1);
	expect_places("/given", (const char *[]){"/given", "/set", "/home/eve/.local/share/scry/models"}, 3);
	/* A path that does not fit is no place; cut, it would be another one. */
	memset(longest, 'l', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	expect_places(longest, (const char *[]){"/set", "/home/eve/.local/share/scry/models"}, 2);
	clear_environment();
}

static void
test_find(void **state)
{
	(void)state;
	char *first = unit_folder(), *second = unit_folder(), path[FILES_PATH] = "untouched", wanted[FILES_PATH];
	char longest[FILES_PATH];
	struct files_places places;
	clear_environment();
	setenv("SCRY_MODELS", second, 1);
	files_places(first, &places);
	assert_false(files_find(&places, "lite/objects.tflite", path));
	assert_string_equal(path, "untouched");
	unit_write(second, "lite/objects.tflite", "2");
	assert_true(files_find(&places, "lite/objects.tflite", path));
	snprintf(wanted, sizeof(wanted), "%s/lite/objects.tflite", second);
	assert_string_equal(path, wanted);
	unit_write(first, "lite/objects.tflite", "1");
	assert_true(files_find(&places, "lite/objects.tflite", path));
	snprintf(wanted, sizeof(wanted), "%s/lite/objects.tflite", first);
	assert_string_equal(path, wanted);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(files_find(&places, longest, path));
	unit_remove(first);
	unit_remove(second);
	free(first);
	free(second);
	clear_environment();
}

struct languages {
	unsigned count;
	char names[8][64];
};

static void
keep_language(void *user, const char *language, const char *path)
{
	struct languages *all = user;
	assert_int_equal(access(path, F_OK), 0);
	snprintf(all->names[all->count++ % 8], 64, "%s", language);
}

static void
test_languages(void **state)
{
	(void)state;
	struct languages all = {0};
	char *folder = unit_folder(), longest[128];
	int before = unit_descriptors();
	clear_environment();
	setenv("TESSDATA_PREFIX", folder, 1);
	assert_int_equal(files_languages(keep_language, &all), 0);
	unit_write(folder, "osd.traineddata", "no language");
	unit_write(folder, "deu.traineddata", "");
	unit_write(folder, "chi_sim.traineddata", "");
	unit_write(folder, ".traineddata", "without a name");
	unit_write(folder, "eng.traineddata.bak", "");
	unit_write(folder, "eng.user-words", "");
	memset(longest, 'l', 70);
	strcpy(longest + 70, ".traineddata");
	unit_write(folder, longest, "a name that no language has");
	assert_int_equal(files_languages(keep_language, &all), 2);
	assert_int_equal(all.count, 2);
	bool german = strcmp(all.names[0], "deu") == 0;
	assert_string_equal(all.names[german ? 0 : 1], "deu");
	assert_string_equal(all.names[german ? 1 : 0], "chi_sim");
	setenv("TESSDATA_PREFIX", "/nowhere/at/all", 1);
	assert_int_equal(files_languages(keep_language, &all), 0);
	assert_int_equal(unit_descriptors(), before);
	unit_remove(folder);
	free(folder);
	clear_environment();
}

static void
make_program(const char *folder, const char *name)
{
	char path[LAUNCH_PATH];
	unit_write(folder, name, "");
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(chmod(path, 0700), 0);
}

static void
test_launch(void **state)
{
	(void)state;
	struct launch launch;
	char path[LAUNCH_PATH], wanted[LAUNCH_PATH], *given = unit_folder(), *set = unit_folder();
	clear_environment();
	/* Nothing named and not beside us: the installed place, for the sentences. */
	launch_find(NULL, &launch);
	assert_string_equal(launch.folder, SCRY_LIBEXEC);
	assert_false(launch_program(&launch, "scry-eye", path));
	assert_string_equal(path, SCRY_LIBEXEC "/scry-eye");
	/* What somebody set is taken as it is, empty as it may be. */
	setenv("SCRY_WORKERS", set, 1);
	launch_find(NULL, &launch);
	assert_string_equal(launch.folder, set);
	launch_find(given, &launch);
	assert_string_equal(launch.folder, given);
	assert_string_equal(launch.loader, "");
	unit_write(given, "scry-eye", "");
	assert_false(launch_program(&launch, "scry-eye", path)); /* not executable */
	make_program(given, "scry-eye");
	assert_true(launch_program(&launch, "scry-eye", path));
	snprintf(wanted, sizeof(wanted), "%s/scry-eye", given);
	assert_string_equal(path, wanted);
	/* The private runtime counts when its loader can run. */
#if defined(__x86_64__)
	make_program(given, "runtime/lib/ld-linux-x86-64.so.2");
	launch_find(given, &launch);
	snprintf(wanted, sizeof(wanted), "%s/runtime/lib", given);
	assert_string_equal(launch.library, wanted);
	assert_memory_equal(launch.loader, wanted, strlen(wanted));
#endif
	setenv("SCRY_WORKERS", "", 1);
	launch_find(NULL, &launch);
	assert_string_equal(launch.folder, SCRY_LIBEXEC);
	unit_remove(given);
	unit_remove(set);
	free(given);
	free(set);
	clear_environment();
}

static void
test_launch_long(void **state)
{
	(void)state;
	struct launch launch;
	char longest[LAUNCH_PATH], path[LAUNCH_PATH];
	memset(longest, 'l', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	launch_find(longest, &launch);
	assert_false(launch_program(&launch, "scry-eye", path));
	assert_string_equal(launch.loader, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_find),
	                                   cmocka_unit_test(test_languages), cmocka_unit_test(test_launch),
	                                   cmocka_unit_test(test_launch_long)};
	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
