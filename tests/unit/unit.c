/* unit.c - see unit.h. */
#include "unit.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
unit_descriptors(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count - 1; /* the folder's own */
}

int
unit_children(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/task");
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char path[64];
		long pid;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%.16s/children", entry->d_name);
		FILE *file = fopen(path, "re");
		while (file != NULL && fscanf(file, "%ld", &pid) == 1)
			count++;
		if (file != NULL)
			fclose(file);
	}
	closedir(dir);
	return count;
}

long
unit_rss_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void
unit_write(const char *folder, const char *path, const char *text)
{
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s/%s", folder, path);
	assert_true(n > 0 && (size_t)n < sizeof(full));
	for (char *slash = full + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

char *
unit_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/scry-unit-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
	return strdup(path);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
unit_remove(const char *folder)
{
	assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

unsigned char *
unit_picture(unsigned width, unsigned height, size_t *size)
{
	size_t row = ((size_t)width * 3 + 3) / 4 * 4, bytes = 54 + row * height;
	unsigned char *picture = calloc(1, bytes);
	uint32_t fields[13] = {(uint32_t)bytes, 0, 54, 40, width, height, 1 | 24 << 16, 0, (uint32_t)(row * height)};
	assert_non_null(picture);
	memcpy(picture, "BM", 2);
	memcpy(picture + 2, fields, sizeof(fields));
	memset(picture + 54, 0x7f, row * height);
	*size = bytes;
	return picture;
}
