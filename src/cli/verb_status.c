/* verb_status.c - `scry status`: the workers, the parts of their sandboxes that hold, and what they were denied. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static void
print_worker(const json_t *worker)
{
	const json_t *probe = json_object_get(worker, "probe"), *part;
	size_t i;
	const char *key;
	json_t *value;
	printf("%-10s %-8s %s\n", text_of(worker, "program"), text_of(worker, "state"), text_of(worker, "model"));
	printf("  sandbox:");
	json_array_foreach (json_object_get(worker, "sandbox"), i, part)
		printf(" %s", json_string_value(part));
	printf("%s\n", json_array_size(json_object_get(worker, "sandbox")) == 0 ? " not started" : "");
	if (text_of(worker, "last_words")[0] != '\0')
		printf("  last words: %s\n", text_of(worker, "last_words"));
	if (probe == NULL)
		return;
	json_object_foreach ((json_t *)probe, key, value)
		printf("  %-10s %s\n", key, json_string_value(value));
}

/* What a worker may do although it should not, is a failure of this command. */
static bool
all_denied(const json_t *document)
{
	size_t i;
	json_t *worker, *value;
	const char *key;
	bool denied = true;
	json_array_foreach (json_object_get(document, "workers"), i, worker) {
		json_object_foreach (json_object_get(worker, "probe"), key, value)
			denied &= strcmp(json_string_value(value), "denied") == 0;
	}
	return denied;
}

int
cli_status(const struct cli_args *args)
{
	char *json;
	struct scry *scry = cli_open(args);
	if (scry == NULL)
		return CLI_FAILED;
	int error = scry_status(scry, args->probe, &json);
	if (error < 0) {
		int code = cli_fail(error, scry_error(scry));
		scry_close(scry);
		return code;
	}
	json_t *document = json_loads(json, 0, NULL), *worker;
	size_t i;
	if (args->json)
		puts(json);
	else if (json_array_size(json_object_get(document, "workers")) == 0)
		puts("no worker is running; `scry status --probe` starts each and tries its sandbox");
	else
		json_array_foreach (json_object_get(document, "workers"), i, worker)
			print_worker(worker);
	int code = args->probe && !all_denied(document) ? CLI_FAILED : CLI_OK;
	json_decref(document);
	free(json);
	scry_close(scry);
	return code;
}
