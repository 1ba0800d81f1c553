/* verb_ask.c - `scry ask`: a question about pictures. It is `scry describe` with the question as its prompt, and, when the
 * answer is bound to something, with what it is bound to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"

#define SCHEMA_BYTES ((size_t)256 << 10)

/* "A,B,C" as lines; spaces around an answer are nobody's answer. */
static char *
make_lines(const char *list)
{
	char *lines = calloc(1, strlen(list) + 1), *to = lines;
	if (lines == NULL)
		return NULL;
	while (*list != '\0') {
		size_t n = strcspn(list, ","), skip = strspn(list, " ");
		size_t end = n;
		while (end > skip && list[end - 1] == ' ')
			end--;
		if (end > skip) {
			to += to != lines;
			memcpy(to, list + skip, end - skip);
			to += end - skip;
			*to = '\n';
		}
		list += n + (list[n] == ',');
	}
	*to = '\0';
	return lines;
}

static char *
read_schema(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file == NULL ? NULL : calloc(1, SCHEMA_BYTES + 1);
	size_t n = text == NULL ? 0 : fread(text, 1, SCHEMA_BYTES, file);
	bool good = text != NULL && !ferror(file) && n > 0 && n < SCHEMA_BYTES && strlen(text) == n;
	if (!good)
		fprintf(stderr, "scry: %s: %s\n", path,
		        file == NULL || ferror(file) ? strerror(errno) : "it is empty, too large or not text");
	if (file != NULL)
		fclose(file);
	if (good)
		return text;
	free(text);
	return NULL;
}

int
cli_ask(const struct cli_args *args)
{
	struct cli_args asked = *args;
	_cleanup_free_ char *choices = NULL;
	_cleanup_free_ char *schema = NULL;
	if (args->yes_no + (args->choices != NULL) + (args->schema != NULL) > 1)
		return cli_fail(SCRY_E_ARGUMENT, "--yes-no, --choices and --schema each bind the answer; choose one");
	if (args->choices != NULL && (choices = make_lines(args->choices)) == NULL)
		return cli_fail(SCRY_E_MEMORY, "out of memory");
	if (args->schema != NULL && (schema = read_schema(args->schema)) == NULL)
		return CLI_FAILED;
	asked.choices = args->yes_no ? "Yes\nNo" : choices;
	asked.schema = schema;
	asked.prompt = args->names[0];
	asked.names = args->names + 1;
	asked.name_count = args->name_count - 1;
	return cli_describe(&asked);
}
