/* runner.c - a harness without a fuzzer: gives it every file of the folders that are named, in the ordinary build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One input in memory of exactly its size. */
static void
run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	if (file == NULL || fstat(fileno(file), &st) < 0) {
		perror(path);
		exit(1);
	}
	size_t size = (size_t)st.st_size;
	uint8_t *data = malloc(size > 0 ? size : 1);
	if (data == NULL || fread(data, 1, size, file) != size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	/* Unbuffered on standard error: when the harness dies, the last line is the culprit. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static unsigned
run_folder(const char *folder)
{
	unsigned count = 0;
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	if (n < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
			run_file(path);
			count++;
		}
		free(entries[i]);
	}
	free(entries);
	return count;
}

int
main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++)
		count += run_folder(argv[i]);
	printf("%u inputs\n", count);
	return count == 0; /* a corpus that is gone would pass for ever */
}
