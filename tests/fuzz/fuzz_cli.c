/* fuzz_cli.c - the command's parser on any argument vector: one argument a line. The verbs themselves are not run. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *nowhere; /* where the parser's sentences go */

int scry_main(int argc, char **argv);
#define main scry_main
#undef stderr
#define stderr nowhere
#undef stdout
#define stdout nowhere
#include "cli/main.c"
#undef main

#define ARGUMENTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
cli_describe(const struct cli_args *args)
{
	return args->name_count;
}

int
cli_ask(const struct cli_args *args)
{
	return args->name_count;
}

int
cli_backends(const struct cli_args *args)
{
	return args->name_count;
}

int
cli_select(const struct cli_args *args)
{
	return args->name_count;
}

int
cli_status(const struct cli_args *args)
{
	return args->name_count;
}

int
cli_pull(const struct cli_args *args)
{
	return args->name_count;
}

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* What was accepted keeps what the table promises. */
static void
check(const struct cli_verb *verb, const struct cli_args *args)
{
	must(args->max_tokens <= 4096 && args->threads <= 64 && args->deadline_ms <= 3600000);
	if (args->help)
		return;
	must(args->name_count >= verb->min_names);
	must(verb->max_names < 0 || args->name_count <= verb->max_names);
	for (int i = 0; i < args->name_count; i++)
		must(args->names[i] != NULL);
	must(!args->stream || strchr(verb->options, STREAM_OPTION) != NULL);
	must(!args->json || strchr(verb->options, 'j') != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *argv[ARGUMENTS + 2], *rest = text;
	struct cli_args args = {0};
	int argc = 0;
	if (nowhere == NULL && (nowhere = fopen("/dev/null", "we")) == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	while (argc < ARGUMENTS && rest != NULL)
		argv[argc++] = strsep(&rest, "\n");
	argv[argc] = NULL;
	const struct cli_verb *verb = find_verb(argv[0]);
	if (verb == NULL)
		verb = &verbs[size % VERB_COUNT];
	optind = 0; /* starts getopt anew */
	if (parse(verb, argc, argv, &args) == CLI_OK)
		check(verb, &args);
	free(text);
	return 0;
}
