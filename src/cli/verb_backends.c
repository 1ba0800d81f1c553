/* verb_backends.c - `scry backends` and `scry select`: what could look here, what would, and why. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define ROWS 16

static void
print_rows(const struct scry_backend *rows, int count)
{
	for (int i = 0; i < count; i++) {
		printf("%-10s %-4s %s\n", rows[i].name, rows[i].available ? "yes" : "no", rows[i].title);
		printf("%-15s %s\n", "", rows[i].why);
	}
}

static int
print_rows_json(const struct scry_backend *rows, int count)
{
	json_t *array = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(array,
		                      json_pack("{s:s, s:s, s:b, s:i, s:b, s:s}", "name", rows[i].name, "title", rows[i].title,
		                                "gpu", rows[i].needs_gpu, "ram_mb", (int)rows[i].ram_mb, "available",
		                                rows[i].available, "why", rows[i].why));
	char *text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	if (text == NULL)
		return cli_fail(SCRY_E_MEMORY, "out of memory");
	puts(text);
	free(text);
	return CLI_OK;
}

int
cli_backends(const struct cli_args *args)
{
	struct scry_backend rows[ROWS];
	int code = CLI_OK;
	struct scry *scry = cli_open(args);
	if (scry == NULL)
		return CLI_FAILED;
	int count = scry_backends(scry, rows, ROWS);
	if (args->json)
		code = print_rows_json(rows, count);
	else
		print_rows(rows, count);
	scry_close(scry);
	return code;
}

static void
print_steps(const char *json)
{
	json_t *document = json_loads(json, 0, NULL), *step;
	size_t i;
	json_array_foreach (json_object_get(document, "steps"), i, step) {
		printf("%s %-28s %s\n", json_is_true(json_object_get(step, "chosen")) ? "->" : "  ",
		       json_string_value(json_object_get(step, "rule")), json_string_value(json_object_get(step, "reason")));
	}
	json_decref(document);
}

static int
explain(struct scry *scry, const struct cli_args *args)
{
	char *json;
	int error = scry_explain(scry, args->backend, &json);
	if (error < 0)
		return cli_fail(error, scry_error(scry));
	if (args->json)
		puts(json);
	else
		print_steps(json);
	free(json);
	return CLI_OK;
}

int
cli_select(const struct cli_args *args)
{
	const char *name;
	struct scry *scry = cli_open(args);
	if (scry == NULL)
		return CLI_FAILED;
	int code = CLI_OK;
	if (args->explain || args->json) {
		code = explain(scry, args);
	} else {
		int error = scry_select(scry, args->backend, &name);
		if (error < 0)
			code = cli_fail(error, scry_error(scry));
		else
			puts(name);
	}
	scry_close(scry);
	return code;
}
