/* launch.c - see launch.h. Runs in the core. */
#include "run/launch.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#if defined(__x86_64__)
#define LOADER "ld-linux-x86-64.so.2"
#elif defined(__aarch64__)
#define LOADER "ld-linux-aarch64.so.1"
#else
#define LOADER "ld.so"
#endif

static bool
join(char *out, size_t size, const char *folder, const char *name)
{
	int n = snprintf(out, size, "%s/%s", folder, name);
	return n > 0 && (size_t)n < size;
}

static bool
holds_workers(const char *folder)
{
	char path[LAUNCH_PATH];
	return join(path, sizeof(path), folder, "scry-eye") && access(path, X_OK) == 0;
}

/* The folder of the object that this code was loaded from: the build folder, when it was built and not installed. */
static bool
own_folder(char *out, size_t size)
{
	Dl_info info;
	char path[PATH_MAX];
	if (dladdr((void *)launch_find, &info) == 0 || info.dli_fname == NULL || realpath(info.dli_fname, path) == NULL)
		return false;
	bool fits = str_copy(out, size, path);
	char *slash = strrchr(out, '/');
	if (!fits || slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

/* The installed folder of workers, seen from the library: what was installed under one prefix may have been moved to
 * another. `folder` ends in the libdir of the build, or it is not an installed library. */
static bool
beside_library(const char *folder, char *out, size_t size)
{
	size_t length = strlen(folder), tail = strlen("/" SCRY_LIBDIR);
	if (SCRY_LIBDIR[0] == '/' || length < tail || strcmp(folder + length - tail, "/" SCRY_LIBDIR) != 0)
		return false;
	int n = snprintf(out, size, "%.*s/%s", (int)(length - tail), folder, SCRY_LIBEXEC_IN_PREFIX);
	return n > 0 && (size_t)n < size && holds_workers(out);
}

static void
find_folder(const char *workers, char *out, size_t size)
{
	const char *set = secure_getenv("SCRY_WORKERS");
	char own[LAUNCH_PATH];
	/* What somebody set is taken as it is, so that a mistake in it is seen and not papered over. */
	if (workers != NULL && str_copy(out, size, workers))
		return;
	if (set != NULL && set[0] != '\0' && str_copy(out, size, set))
		return;
	if (own_folder(own, sizeof(own))) {
		if (holds_workers(own)) {
			str_copy(out, size, own);
			return;
		}
		if (beside_library(own, out, size))
			return;
	}
	str_copy(out, size, SCRY_LIBEXEC);
}

void
launch_find(const char *workers, struct launch *out)
{
	char loader[LAUNCH_PATH];
	memset(out, 0, sizeof(*out));
	find_folder(workers, out->folder, sizeof(out->folder));
	if (join(loader, sizeof(loader), out->folder, "runtime/lib/" LOADER) && access(loader, X_OK) == 0 &&
	    join(out->library, sizeof(out->library), out->folder, "runtime/lib"))
		memcpy(out->loader, loader, sizeof(loader));
}

bool
launch_program(const struct launch *launch, const char *program, char path[LAUNCH_PATH])
{
	return join(path, LAUNCH_PATH, launch->folder, program) && access(path, X_OK) == 0;
}
