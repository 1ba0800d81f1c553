/* host.c - see host.h. Runs in the core. */
#include "host/host.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static FILE *
open_below(const char *root, const char *path)
{
	char full[PATH_MAX];
	snprintf(full, sizeof(full), "%s%s", root, path);
	return fopen(full, "re");
}

static uint64_t
physical_mb(const char *root)
{
	char line[256];
	unsigned long long kb = 0;
	FILE *file = open_below(root, "/proc/meminfo");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "MemTotal: %llu kB", &kb) == 1)
			break;
	}
	fclose(file);
	return kb / 1024;
}

/* A limit file holds bytes, or "max". Limits past what the machine has mean none as well (cgroup v1). */
static uint64_t
limit_mb(const char *root, const char *path)
{
	unsigned long long bytes = ULLONG_MAX;
	FILE *file = open_below(root, path);
	if (file == NULL)
		return UINT64_MAX;
	if (fscanf(file, "%llu", &bytes) != 1)
		bytes = ULLONG_MAX;
	fclose(file);
	return bytes == ULLONG_MAX ? UINT64_MAX : bytes >> 20;
}

/* The limit of our own group and of each of its parents: any of them can hold. */
static uint64_t
cgroup_mb(const char *root)
{
	char line[PATH_MAX], path[PATH_MAX + 64];
	uint64_t least = UINT64_MAX;
	FILE *file = open_below(root, "/proc/self/cgroup");
	if (file == NULL)
		return least;
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		bool v2 = strncmp(line, "0::", 3) == 0;
		char *v1 = strstr(line, ":memory:");
		char *group = v2 ? line + 3 : v1 != NULL ? v1 + 8 : NULL;
		if (group == NULL)
			continue;
		for (;;) {
			snprintf(path, sizeof(path),
			         v2 ? "/sys/fs/cgroup%s/memory.max" : "/sys/fs/cgroup/memory%s/memory.limit_in_bytes",
			         strcmp(group, "/") == 0 ? "" : group);
			uint64_t mb = limit_mb(root, path);
			least = mb < least ? mb : least;
			char *slash = strrchr(group, '/');
			if (slash == NULL)
				break;
			*slash = '\0'; /* at last "", the root: in a container it has the container's limit */
		}
	}
	fclose(file);
	return least;
}

void
host_probe(const char *root, struct host *out)
{
	cpu_set_t set;
	uint64_t physical = physical_mb(root), group = cgroup_mb(root);
	out->ram_mb = group < physical ? group : physical;
	out->cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}
