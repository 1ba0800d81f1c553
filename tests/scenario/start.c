/* start.c - workers that are not there, are none, or do not come up; and a host without descriptors.
 *
 * Each case is a folder of workers made for it. The error must be typed and say what to do, in time; and when the cause is
 * gone, the next request must find that out.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"

#define PATH 512

static char folder[] = "/tmp/scry-start-XXXXXX";
static const char *real;
static struct scry_image image;

static void
no_log(void *user, enum scry_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

static struct scry *
open_folder(const char *workers)
{
	struct scry *scry = NULL;
	struct scry_options options = {.backend = "fake", .workers = workers, .log = no_log};
	if (!scene_check(scry_open(&options, &scry) == 0, "cannot open a core"))
		exit(1);
	return scry;
}

static void
in_folder(char path[PATH], const char *name)
{
	snprintf(path, PATH, "%s/%s", folder, name);
}

static void
link_real(const char *name)
{
	char from[PATH], to[PATH];
	snprintf(from, sizeof(from), "%s/%s", real, name);
	in_folder(to, name);
	unlink(to);
	scene_check(symlink(from, to) == 0, "cannot link %s", name);
}

/* Puts `bytes` there as a program with these permissions. */
static void
put(const char *name, const void *bytes, size_t size, mode_t mode)
{
	char path[PATH];
	in_folder(path, name);
	unlink(path);
	FILE *file = fopen(path, "we");
	scene_check(file != NULL && fwrite(bytes, 1, size, file) == size, "cannot write %s", path);
	if (file != NULL)
		fclose(file);
	chmod(path, mode);
}

static void
put_file(const char *name, const char *from, size_t limit)
{
	static char bytes[1 << 20];
	FILE *file = fopen(from, "re");
	size_t size = file == NULL ? 0 : fread(bytes, 1, limit < sizeof(bytes) ? limit : sizeof(bytes), file);
	scene_check(size > 0, "cannot read %s", from);
	if (file != NULL)
		fclose(file);
	put(name, bytes, size, 0755);
}

/* Describes with what stands in the folder: `error`, `fragment` in its sentence, within `limit_ms`. */
static void
expect(const char *title, int error, const char *fragment, unsigned limit_ms)
{
	char said[SCENE_SAID];
	uint64_t ms;
	struct scry *scry = open_folder(folder);
	int got = scene_describe(scry, image, "", 20000, said, &ms);
	scene_check(got == error && strstr(said, fragment) != NULL, "%s: %s: %s", title, scry_error_name(got), said);
	scene_check(ms <= limit_ms + SCENE_SLACK_MS, "%s: %llu ms", title, (unsigned long long)ms);
	printf("  %-34s %-11s %5llu ms  %s\n", title, scry_error_name(got), (unsigned long long)ms, said);
	link_real("scry-eye");
	link_real("scry-fake");
	/* One that died six times in a row rests for half a minute, repaired or not. */
	if (error == SCRY_E_UNAVAILABLE) {
		got = scene_describe(scry, image, "", 40000, said, NULL);
		scene_check(got == 0, "%s, and then repaired: %s", title, said);
	}
	scry_close(scry);
}

static void
no_workers(void)
{
	char path[PATH];
	link_real("scry-fake");
	in_folder(path, "scry-eye");
	unlink(path);
	expect("the eye is missing", SCRY_E_UNAVAILABLE, "scry-eye", 1000);
	put("scry-eye", "#!/bin/sh\n", 10, 0644);
	expect("the eye is not executable", SCRY_E_UNAVAILABLE, "ermission", 1000);
	put("scry-eye", "hello\n", 6, 0755);
	expect("the eye is a text", SCRY_E_UNAVAILABLE, "cannot start", 1000);
	put_file("scry-eye", "/bin/true", 1 << 20);
	expect("the eye is /bin/true", SCRY_E_UNAVAILABLE, "is it a worker of scry", 1000);
	put_file("scry-eye", "/bin/cat", 1 << 20);
	expect("the eye is /bin/cat", SCRY_E_UNAVAILABLE, "is it a worker of scry", 1000);
	put_file("scry-fake", "/bin/true", 1 << 20);
	expect("the engine is /bin/true", SCRY_E_UNAVAILABLE, "is it a worker of scry", 1000);
	put("scry-eye",
	    "\x7f"
	    "ELF\2\1\1",
	    7, 0755);
	expect("the eye is seven bytes of an ELF", SCRY_E_UNAVAILABLE, "cannot start", 1000);
	snprintf(path, sizeof(path), "%s/scry-eye", real);
	put_file("scry-eye", path, 3000);
	/* The kernel maps what is there and the loader dies of the rest: a signal, which is tried again. */
	expect("the eye is cut after 3000 bytes", SCRY_E_WORKER, "scry-eye", 8000);
	snprintf(path, sizeof(path), "%s/scry-fake", real);
	put_file("scry-eye", path, 1 << 20);
	expect("the eye is another worker", SCRY_E_UNAVAILABLE, "is not scry-eye", 1000);
}

static void
late_workers(void)
{
	static const char sleeper[] = "#!/bin/sh\nexec sleep 20\n";
	setenv("SCRY_WORKER_START_MS", "400", 1);
	put("scry-eye", sleeper, sizeof(sleeper) - 1, 0755);
	link_real("scry-fake");
	struct scry *scry = open_folder(folder);
	char said[SCENE_SAID];
	uint64_t ms;
	int error = scene_describe(scry, image, "", 20000, said, &ms);
	scene_check(error == SCRY_E_TIMEOUT && strstr(said, "SCRY_WORKER_START_MS") != NULL, "no hello: %s: %s",
	            scry_error_name(error), said);
	scene_check(ms >= 395 && ms <= 400 + SCENE_SLACK_MS, "no hello: %llu ms", (unsigned long long)ms);
	printf("  %-34s %-11s %5llu ms  %s\n", "no hello", scry_error_name(error), (unsigned long long)ms, said);
	scry_close(scry);
	unsetenv("SCRY_WORKER_START_MS");
	setenv("SCRY_MODEL_LOAD_MS", "400", 1);
	setenv("SCRY_FAKE_START", "hang", 1);
	scry = open_folder(real);
	error = scene_describe(scry, image, "", 20000, said, &ms);
	scene_check(error == SCRY_E_TIMEOUT && strstr(said, "SCRY_MODEL_LOAD_MS") != NULL, "no model: %s: %s",
	            scry_error_name(error), said);
	printf("  %-34s %-11s %5llu ms  %s\n", "no model", scry_error_name(error), (unsigned long long)ms, said);
	scry_close(scry);
	unsetenv("SCRY_MODEL_LOAD_MS");
	setenv("SCRY_FAKE_START", "crash", 1);
	scry = open_folder(real);
	error = scene_describe(scry, image, "", 20000, said, &ms);
	scene_check(error == SCRY_E_WORKER && ms <= 8000 + SCENE_SLACK_MS, "dies while loading: %s: %s",
	            scry_error_name(error), said);
	printf("  %-34s %-11s %5llu ms  %s\n", "dies while loading", scry_error_name(error), (unsigned long long)ms, said);
	scry_close(scry);
	unsetenv("SCRY_FAKE_START");
}

/* From no free descriptor up to enough: a typed error, never a hang, and afterwards all is well. */
static void
out_of_descriptors(void)
{
	struct rlimit limit;
	char said[SCENE_SAID];
	unsigned errors = 0, captions = 0;
	struct scry *scry = open_folder(real);
	getrlimit(RLIMIT_NOFILE, &limit);
	/* What libraries open once must be open. */
	scene_check(scene_describe(scry, image, "", 20000, said, NULL) == 0, "before: %s", said);
	scry_close(scry);
	unsigned used = scene_fds();
	for (unsigned room = 3; room <= 24; room++) {
		scry = open_folder(real);
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = used + room, .rlim_max = limit.rlim_max});
		uint64_t ms;
		int error = scene_describe(scry, image, "", 20000, said, &ms);
		setrlimit(RLIMIT_NOFILE, &limit);
		errors += error == SCRY_E_SYSTEM;
		captions += error == 0;
		scene_check(error == 0 || (error == SCRY_E_SYSTEM && said[0] != '\0'), "%u descriptors: %s: %s", room,
		            scry_error_name(error), said);
		scene_check(ms <= 3000 + SCENE_SLACK_MS, "%u descriptors: %llu ms", room, (unsigned long long)ms);
		error = scene_describe(scry, image, "", 20000, said, &ms);
		scene_check(error == 0, "%u descriptors, and then enough: %s: %s", room, scry_error_name(error), said);
		scry_close(scry);
	}
	printf("  3 to 24 free descriptors: %u typed errors, %u captions\n", errors, captions);
	scene_check(errors > 3 && captions > 3, "the limits tried were all too small or all too large");
}

int
main(void)
{
	size_t size;
	void *picture = scene_picture(160, 100, &size);
	image = scry_image_bytes(picture, size);
	real = getenv("SCRY_WORKERS");
	if (!scene_check(real != NULL && mkdtemp(folder) != NULL, "no folder to work in"))
		return 1;
	scry_close(scene_open());
	unsigned fds = scene_fds();
	no_workers();
	late_workers();
	out_of_descriptors();
	scene_check(scene_fds() == fds, "%u descriptors before, %u after", fds, scene_fds());
	scene_check(!scene_has_child(), "a child process is left");
	char path[PATH];
	in_folder(path, "scry-eye");
	unlink(path);
	in_folder(path, "scry-fake");
	unlink(path);
	rmdir(folder);
	free(picture);
	return scene_end("start");
}
