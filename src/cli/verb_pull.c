/* verb_pull.c - `scry pull lite`: hands over to the script that gets and verifies the weights (tools/fetch-models). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define SCRIPT "fetch-models"

/* The script's place: beside the workers when installed, or where the build says. */
static const char *
find_script(char *path, size_t size)
{
	const char *folder = secure_getenv("SCRY_WORKERS");
	snprintf(path, size, "%s/" SCRIPT, folder != NULL ? folder : SCRY_LIBEXEC);
	if (access(path, X_OK) == 0)
		return path;
	/* In a build folder the script stands beside the command. */
	ssize_t n = readlink("/proc/self/exe", path, size - sizeof("/" SCRIPT));
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	strcpy(slash + 1, SCRIPT);
	return access(path, X_OK) == 0 ? path : NULL;
}

int
cli_pull(const struct cli_args *args)
{
	char path[4096];
	if (strcmp(args->names[0], "lite") != 0)
		return cli_fail(SCRY_E_ARGUMENT, "only the models of `lite` can be pulled so far: scry pull lite");
	if (args->models != NULL)
		setenv("SCRY_MODELS", args->models, 1);
	const char *script = find_script(path, sizeof(path));
	if (script == NULL)
		return cli_fail(SCRY_E_SYSTEM, "the script fetch-models is not installed beside the workers");
	fflush(stdout);
	execl(script, SCRIPT, (char *)NULL);
	fprintf(stderr, "scry: cannot run %s: %s\n", script, strerror(errno));
	return CLI_FAILED;
}
