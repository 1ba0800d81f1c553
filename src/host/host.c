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

/* One line of /proc/meminfo; 0 when it is not there. */
static uint64_t
meminfo_mb(const char *root, const char *format)
{
	char line[256];
	unsigned long long kb = 0;
	FILE *file = open_below(root, "/proc/meminfo");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, format, &kb) == 1)
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

/* What a group can still take: its limit less what it holds, where files that nobody reads now do not count. */
static uint64_t
room_mb(const char *root, const char *group, bool v2)
{
	char path[PATH_MAX + 64], line[128];
	unsigned long long inactive = 0;
	const char *const *names = v2 ?
		(const char *const[]){"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file %llu"} :
		(const char *const[]){"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	                          "total_inactive_file %llu"};
	snprintf(path, sizeof(path), "%s%s/%s", names[0], group, names[1]);
	uint64_t limit = limit_mb(root, path);
	if (limit == UINT64_MAX)
		return limit;
	snprintf(path, sizeof(path), "%s%s/%s", names[0], group, names[2]);
	uint64_t used = limit_mb(root, path);
	snprintf(path, sizeof(path), "%s%s/memory.stat", names[0], group);
	FILE *file = open_below(root, path);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL && sscanf(line, names[3], &inactive) != 1)
		continue;
	if (file != NULL)
		fclose(file);
	inactive >>= 20;
	used = used == UINT64_MAX ? 0 : used > inactive ? used - inactive : 0;
	return used < limit ? limit - used : 0;
}

/* The limit of our own group and of each of its parents, or the room below it: any of them can hold. */
static uint64_t
cgroup_mb(const char *root, bool room)
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
			const char *own = strcmp(group, "/") == 0 ? "" : group;
			snprintf(path, sizeof(path),
			         v2 ? "/sys/fs/cgroup%s/memory.max" : "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", own);
			uint64_t mb = room ? room_mb(root, own, v2) : limit_mb(root, path);
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
	uint64_t physical = meminfo_mb(root, "MemTotal: %llu kB"), group = cgroup_mb(root, false);
	out->ram_mb = group < physical ? group : physical;
	out->cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

uint64_t
host_available_mb(const char *root)
{
	uint64_t machine = meminfo_mb(root, "MemAvailable: %llu kB"), group = cgroup_mb(root, true);
	if (machine == 0)
		machine = UINT64_MAX;
	return group < machine ? group : machine;
}
