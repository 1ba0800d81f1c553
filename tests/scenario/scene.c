/* scene.c - see scene.h. */
#include "scene.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_uint failed, checked;

bool
scene_check(bool holds, const char *format, ...)
{
	atomic_fetch_add(&checked, 1);
	if (holds)
		return true;
	char line[SCENE_SAID + 256];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("FAILED: %s\n", line);
	fflush(stdout);
	atomic_fetch_add(&failed, 1);
	return false;
}

int
scene_end(const char *title)
{
	printf("%s: %u checks, %u failed\n", title, atomic_load(&checked), atomic_load(&failed));
	return atomic_load(&failed) == 0 && atomic_load(&checked) > 0 ? 0 : 1;
}

uint64_t
scene_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
scene_nap_ms(unsigned ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

/* xorshift64* (Vigna 2016): the same everywhere for the same seed. */
unsigned
scene_random(uint64_t *seed, unsigned below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (unsigned)((*seed * 2685821657736338717u) >> 33) % below;
}

/* --- this process from outside ---------------------------------------------------------------------------- */

long
scene_anon_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *file = fopen("/proc/self/status", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "RssAnon: %ld kB", &kib) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	return kib;
}

unsigned
scene_fds(void)
{
	unsigned count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (folder != NULL && readdir(folder) != NULL)
		count++;
	if (folder != NULL)
		closedir(folder);
	return count;
}

bool
scene_has_child(void)
{
	siginfo_t info;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

unsigned
scene_children(pid_t tid, pid_t *pids, unsigned room)
{
	char path[64];
	unsigned count = 0;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)tid);
	FILE *file = fopen(path, "re");
	while (file != NULL && count < room && fscanf(file, "%d", &pids[count]) == 1)
		count++;
	if (file != NULL)
		fclose(file);
	return count;
}

static bool
is_my_child(pid_t pid)
{
	char path[64], state;
	int parent = -1;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	/* Names of workers have no blank and no bracket. */
	if (file == NULL || fscanf(file, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
		parent = -1;
	if (file != NULL)
		fclose(file);
	return parent == (int)getpid();
}

bool
scene_signal_child(pid_t pid, int signal)
{
	int pidfd = pidfd_open(pid, 0);
	/* Looked at after the descriptor was opened: from here on it is this process that is meant. */
	bool sent = pidfd >= 0 && is_my_child(pid) && pidfd_send_signal(pidfd, signal, NULL, 0) == 0;
	if (pidfd >= 0)
		close(pidfd);
	return sent;
}

/* --- pictures and cores ----------------------------------------------------------------------------------- */

static void
put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void *
scene_picture(unsigned width, unsigned height, size_t *size)
{
	size_t row = ((size_t)width * 3 + 3) / 4 * 4, head = 54;
	uint8_t *bmp = calloc(1, head + row * height);
	if (bmp == NULL)
		abort();
	*size = head + row * height;
	memcpy(bmp, "BM", 2);
	put32(bmp + 2, (uint32_t)*size);
	put32(bmp + 10, (uint32_t)head);
	put32(bmp + 14, 40);
	put32(bmp + 18, width);
	put32(bmp + 22, height);
	bmp[26] = 1;
	bmp[28] = 24;
	put32(bmp + 34, (uint32_t)(row * height));
	for (size_t i = head; i < *size; i++)
		bmp[i] = (uint8_t)(i * 7 + i / row);
	return bmp;
}

static void
no_log(void *user, enum scry_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

struct scry *
scene_open(void)
{
	struct scry *scry;
	struct scry_options options = {.backend = "fake", .log = no_log};
	int error = scry_open(&options, &scry);
	if (error == 0)
		return scry;
	printf("FAILED: cannot open a core: %s\n", scry_error_name(error));
	exit(1);
}

int
scene_describe(struct scry *scry, struct scry_image image, const char *prompt, unsigned deadline_ms, char *said,
               uint64_t *ms)
{
	struct scry_query query = {.prompt = prompt, .deadline_ms = deadline_ms};
	struct scry_result *result = NULL;
	uint64_t began = scene_now_ms();
	int error = scry_describe(scry, image, &query, &result);
	if (ms != NULL)
		*ms = scene_now_ms() - began;
	if (said != NULL)
		snprintf(said, SCENE_SAID, "%s", error == 0 ? scry_result_text(result) : scry_error(scry));
	scry_result_free(result);
	return error;
}

long
scene_worker_number(struct scry *scry, const char *program, const char *key)
{
	char *text;
	long number = 0;
	json_t *worker;
	size_t i;
	if (scry_status(scry, 0, &text) < 0)
		return 0;
	json_t *document = json_loads(text, 0, NULL);
	free(text);
	json_array_foreach (json_object_get(document, "workers"), i, worker) {
		if (strcmp(json_string_value(json_object_get(worker, "program")), program) == 0)
			number = (long)json_integer_value(json_object_get(worker, key));
	}
	json_decref(document);
	return number;
}
