/* cli.h - the verbs of scry(1) as one table: it makes the parser, the help and the shell completion.
 *
 * Each verb stands in a file of its own and works through scry.h alone. People's text goes to standard output, diagnostics
 * to standard error; --json prints one document (or one line a result).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "scry.h"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNAVAILABLE = 3 };

/* What each option does; the table in main.c says which verb takes which. */
struct cli_args {
	const char *backend, *prompt, *language, *models, *gguf, *mmproj, *choices, *schema;
	unsigned max_tokens, deadline_ms, threads;
	unsigned seed;
	float temperature; /* 0: not given */
	bool yes_no, greedy, no_drafts;
	bool json, stream, no_text, explain, probe, verbose, help;
	char **names; /* what is not an option */
	int name_count;
};

struct cli_verb {
	const char *name;
	const char *examples; /* shown first by the help */
	const char *usage;
	const char *about;
	const char *options;      /* letters of the options it takes */
	int min_names, max_names; /* max -1: any number */
	int (*run)(const struct cli_args *args);
};

int cli_describe(const struct cli_args *args);
int cli_ask(const struct cli_args *args);
int cli_backends(const struct cli_args *args);
int cli_select(const struct cli_args *args);
int cli_status(const struct cli_args *args);
int cli_pull(const struct cli_args *args);
int cli_completion(const struct cli_args *args);

/* The exit code that goes with an error of the library. */
int cli_exit_of(int error);
/* "scry: SENTENCE" on standard error; returns the exit code. */
int cli_fail(int error, const char *sentence);
/* Opens a core as the arguments say; NULL after saying why not. */
struct scry *cli_open(const struct cli_args *args);
/* Flushes standard output between results, so that a reader gets each when it is there. */
void cli_flush_now(void);
/* Flushes it at the end. A full disk or a closed pipe behind it is a failure of the command. */
int cli_flush(int code);

#endif
