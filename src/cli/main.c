/* main.c - the command: tables of verbs and options, and what is made of them. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define OPTIONS 24
#define MODELS_OPTION 'M'
#define DEADLINE_OPTION 'D'
#define NO_TEXT_OPTION 'T'
#define EXPLAIN_OPTION 'E'
#define PROBE_OPTION 'P'
#define STREAM_OPTION 'S'
#define NO_DRAFTS_OPTION 'F'
#define GGUF_OPTION 'G'
#define MMPROJ_OPTION 'J'
#define TEMPERATURE_OPTION 'R'
#define SEED_OPTION 'Z'
#define YES_NO_OPTION 'Y'
#define CHOICES_OPTION 'C'
#define SCHEMA_OPTION 'A'

/* Letters in capitals are names within these tables only; people write the long form. */
static const struct cli_option {
	char letter;
	const char *name;
	const char *value; /* NULL: takes none */
	const char *about;
} options[] = {
	{'b', "backend", "NAME", "backend to use; `scry backends` lists them (automatic choice)"},
	{'p', "prompt", "TEXT", "what to say about the picture, for backends that heed a prompt"},
	{'n', "max-tokens", "N", "most tokens of the answer"},
	{'l', "lang", "LANGS", "languages of text in the picture, such as eng+deu (eng)"},
	{'t', "threads", "N", "threads of the model (all processors)"},
	{'j', "json", NULL, "one JSON document a result"},
	{STREAM_OPTION, "stream", NULL, "print the answer while it is made"},
	{NO_TEXT_OPTION, "no-text", NULL, "do not read the text in the picture"},
	{DEADLINE_OPTION, "deadline", "SECONDS", "answer or fail within this time (60)"},
	{MODELS_OPTION, "models", "FOLDER", "folder of model files"},
	{GGUF_OPTION, "gguf", "FILE", "model file of backend gguf"},
	{MMPROJ_OPTION, "mmproj", "FILE", "its vision tower"},
	{TEMPERATURE_OPTION, "temperature", "T", "how freely words are chosen, 0 to 2; 0: the likeliest always (0.1)"},
	{SEED_OPTION, "seed", "N", "of that choice"},
	{NO_DRAFTS_OPTION, "no-drafts", NULL, "do not try the last picture's words first"},
	{YES_NO_OPTION, "yes-no", NULL, "the answer is yes or no, with probabilities"},
	{CHOICES_OPTION, "choices", "A,B,C", "the answer is one of these, with probabilities"},
	{SCHEMA_OPTION, "schema", "FILE", "the answer is JSON that obeys this JSON Schema"},
	{EXPLAIN_OPTION, "explain", NULL, "every step of the choice with its reason"},
	{PROBE_OPTION, "probe", NULL, "start each worker and have it try what its sandbox forbids"},
	{'v', "verbose", NULL, "log what happens to standard error"},
	{'h', "help", NULL, "this help"},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static const struct cli_verb verbs[] = {
	{"describe", "  scry describe photo.jpg\n  scry describe --json screen.png | jq .\n  grim - | scry describe -\n",
     "scry describe [-b BACKEND] [-p PROMPT] [--lang LANGS] [--no-text] [--stream] [--json] IMAGE|-...",
     "say what is in pictures", "bpnltjSTDMGJRZFvh", 1, -1, cli_describe},
	{"ask",
     "  scry ask --yes-no 'Is the door open?' door.jpg\n  scry ask --choices red,green 'Which light is on?' cam.jpg\n",
     "scry ask [-b BACKEND] [--yes-no | --choices A,B,C | --schema FILE] [--json] QUESTION IMAGE...",
     "ask about pictures", "bntjDMGJRZYCAvh", 2, -1, cli_ask},
	{"backends", "  scry backends\n", "scry backends [--json]", "what could describe pictures here, and why not",
     "jMvh", 0, 0, cli_backends},
	{"select", "  scry select --explain\n", "scry select [-b BACKEND] [--explain] [--json]",
     "which backend would be used", "bjEMvh", 0, 0, cli_select},
	{"status", "  scry status --probe\n", "scry status [--probe] [--json]", "the workers and what their sandboxes hold",
     "jPMvh", 0, 0, cli_status},
	{"pull", "  scry pull lite\n", "scry pull lite", "get a backend's model files", "Mh", 1, 1, cli_pull},
	{"completion", "  scry completion bash > ~/.local/share/bash-completion/completions/scry\n", "scry completion bash",
     "print the shell's completion", "h", 1, 1, cli_completion},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

/* --- help and completion, from the tables ----------------------------------------------------------------- */

static void
print_help(FILE *out)
{
	fputs("  scry describe photo.jpg       what is in a picture\n"
	      "  scry backends                 what could describe it here\n\nVerbs:\n",
	      out);
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].about);
	fputs("\n`scry VERB --help` says more; `man scry` says all. Version " SCRY_VERSION ".\n", out);
}

static void
print_verb_help(const struct cli_verb *verb)
{
	printf("%s\nUsage: %s\n%s%s.\n\n", verb->examples, verb->usage, "To ", verb->about);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char left[48], letter[8] = "    ";
		if (strchr(verb->options, options[i].letter) == NULL)
			continue;
		if (options[i].letter >= 'a')
			snprintf(letter, sizeof(letter), "-%c, ", options[i].letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, options[i].name, options[i].value != NULL ? " " : "",
		         options[i].value != NULL ? options[i].value : "");
		printf("  %-26s %s\n", left, options[i].about);
	}
}

static void
print_verb_completion(const struct cli_verb *verb)
{
	printf("\t\t%s) words='", verb->name);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (strchr(verb->options, options[i].letter) != NULL)
			printf("--%s ", options[i].name);
	}
	printf("' ;;\n");
}

int
cli_completion(const struct cli_args *args)
{
	if (strcmp(args->names[0], "bash") != 0)
		return cli_fail(SCRY_E_ARGUMENT, "only bash's completion is there: scry completion bash");
	puts("# bash completion for scry, made by `scry completion bash`\n_scry() {\n"
	     "\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=''\n"
	     "\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then");
	printf("\t\twords='");
	for (size_t i = 0; i < VERB_COUNT; i++)
		printf("%s ", verbs[i].name);
	puts("'\n\telif [ \"$before\" = --backend ] || [ \"$before\" = -b ]; then\n\t\twords='auto");
	printf(
		"\t\t\t'$(scry backends --json 2>/dev/null | sed 's/\"name\":\"/\\n@/g' | sed -n 's/^@\\([a-z0-9-]*\\)\".*/\\1/p')\n");
	puts("\telse case ${COMP_WORDS[1]} in");
	for (size_t i = 0; i < VERB_COUNT; i++)
		print_verb_completion(&verbs[i]);
	puts("\tesac fi\n\tcase $current in\n\t\t-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\") ;;\n"
	     "\t\t*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -f -- \"$current\") ;;\n\tesac\n}\n"
	     "complete -o filenames -F _scry scry");
	return CLI_OK;
}

/* --- parsing ---------------------------------------------------------------------------------------------- */

static int
usage_error(const char *format, const char *what)
{
	fputs("scry: ", stderr);
	fprintf(stderr, format, what);
	fputs("\n", stderr);
	return CLI_USAGE;
}

static bool
take_number(const char *text, unsigned long max, unsigned scale, unsigned *out)
{
	unsigned long value;
	if (!str_number(text, 1, max, &value))
		return false;
	*out = (unsigned)value * scale;
	return true;
}

static bool
take_temperature(struct cli_args *args, const char *text)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= 0 && value <= 2))
		return false;
	args->temperature = (float)value;
	args->greedy = value == 0;
	return true;
}

/* Puts one option where it belongs; false when its value is not one. */
static bool
take_option(struct cli_args *args, int letter, const char *value)
{
	switch (letter) {
	case 'b':
		args->backend = value;
		return true;
	case 'p':
		args->prompt = value;
		return true;
	case 'l':
		args->language = value;
		return true;
	case MODELS_OPTION:
		args->models = value;
		return true;
	case 'n':
		return take_number(value, 4096, 1, &args->max_tokens);
	case 't':
		return take_number(value, 64, 1, &args->threads);
	case DEADLINE_OPTION:
		return take_number(value, 3600, 1000, &args->deadline_ms);
	case GGUF_OPTION:
		args->gguf = value;
		return true;
	case MMPROJ_OPTION:
		args->mmproj = value;
		return true;
	case TEMPERATURE_OPTION:
		return take_temperature(args, value);
	case SEED_OPTION:
		return take_number(value, UINT32_MAX, 1, &args->seed);
	case NO_DRAFTS_OPTION:
		return args->no_drafts = true;
	case YES_NO_OPTION:
		return args->yes_no = true;
	case CHOICES_OPTION:
		args->choices = value;
		return true;
	case SCHEMA_OPTION:
		args->schema = value;
		return true;
	case 'j':
		return args->json = true;
	case STREAM_OPTION:
		return args->stream = true;
	case NO_TEXT_OPTION:
		return args->no_text = true;
	case EXPLAIN_OPTION:
		return args->explain = true;
	case PROBE_OPTION:
		return args->probe = true;
	case 'v':
		return args->verbose = true;
	case 'h':
		return args->help = true;
	default:
		return false;
	}
}

/* Makes getopt's tables out of ours, for the options of one verb. */
static void
make_getopt(const struct cli_verb *verb, struct option longs[OPTIONS + 1], char shorts[2 * OPTIONS + 2])
{
	size_t n = 0, s = 0;
	shorts[s++] = ':';
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (strchr(verb->options, options[i].letter) == NULL)
			continue;
		longs[n++] = (struct option){.name = options[i].name,
		                             .has_arg = options[i].value != NULL ? required_argument : no_argument,
		                             .val = options[i].letter};
		if (options[i].letter < 'a')
			continue;
		shorts[s++] = options[i].letter;
		if (options[i].value != NULL)
			shorts[s++] = ':';
	}
	longs[n] = (struct option){0};
	shorts[s] = '\0';
}

static int
parse(const struct cli_verb *verb, int argc, char **argv, struct cli_args *args)
{
	struct option longs[OPTIONS + 1];
	char shorts[2 * OPTIONS + 2];
	int letter;
	make_getopt(verb, longs, shorts);
	opterr = 0;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *at = argv[optind - 1];
		if (letter == ':')
			return usage_error("%s wants a value", at);
		if (letter == '?')
			return usage_error("%s is not an option of this verb; --help lists them", at);
		if (!take_option(args, letter, optarg))
			return usage_error("\"%s\" is not a number that this option takes", optarg);
	}
	args->names = argv + optind;
	args->name_count = argc - optind;
	if (args->help)
		return CLI_OK;
	if (args->name_count < verb->min_names || (verb->max_names >= 0 && args->name_count > verb->max_names))
		return usage_error("usage: %s", verb->usage);
	return CLI_OK;
}

static const struct cli_verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	}
	return NULL;
}

/* A standard descriptor that is closed would be given to the next file that is opened, and our text would go there. Each
 * is filled with one that fails as the closed one would. */
static void
fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			exit(CLI_FAILED);
	}
}

int
main(int argc, char **argv)
{
	struct cli_args args = {0};
	fill_standard_descriptors();
	/* A reader that goes away is seen as a failed write, with its exit code, not as a death. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return cli_flush(CLI_OK);
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("scry %s\n", scry_version());
		return cli_flush(CLI_OK);
	}
	const struct cli_verb *verb = find_verb(argv[1]);
	if (verb == NULL)
		return usage_error("there is no verb \"%s\"; `scry --help` lists them", argv[1]);
	int code = parse(verb, argc - 1, argv + 1, &args);
	if (code != CLI_OK)
		return code;
	if (args.help) {
		print_verb_help(verb);
		return cli_flush(CLI_OK);
	}
	return cli_flush(verb->run(&args));
}

/* --- what the verbs share --------------------------------------------------------------------------------- */

static int write_error; /* the first reason why standard output did not take what was written */

int
cli_exit_of(int error)
{
	return error == 0               ? CLI_OK :
		error == SCRY_E_ARGUMENT    ? CLI_USAGE :
		error == SCRY_E_UNAVAILABLE ? CLI_UNAVAILABLE :
									  CLI_FAILED;
}

int
cli_fail(int error, const char *sentence)
{
	fprintf(stderr, "scry: %s\n", sentence);
	return cli_exit_of(error);
}

static void
log_verbose(void *user, enum scry_log_level level, const char *line)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	(void)user;
	fprintf(stderr, "scry: %s: %s\n", names[level], line);
}

/* Without --verbose a failure is told once, in the sentence of the request it hit; the log would say it twice. */
static void
log_nothing(void *user, enum scry_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

struct scry *
cli_open(const struct cli_args *args)
{
	struct scry *scry = NULL;
	/* Naming a file is naming the backend. */
	const char *backend = args->backend == NULL && args->gguf != NULL ? "gguf" : args->backend;
	struct scry_options opening = {.backend = backend,
	                               .models = args->models,
	                               .threads = args->threads,
	                               .gguf = args->gguf,
	                               .mmproj = args->mmproj,
	                               .log = args->verbose ? log_verbose : log_nothing};
	int error = scry_open(&opening, &scry);
	if (error == 0)
		return scry;
	fprintf(stderr, "scry: cannot start: %s\n", scry_error_name(error));
	return NULL;
}

void
cli_flush_now(void)
{
	if (fflush(stdout) != 0 && write_error == 0)
		write_error = errno;
}

int
cli_flush(int code)
{
	cli_flush_now();
	if (write_error == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "scry: cannot write the output: %s\n", strerror(write_error != 0 ? write_error : EIO));
	return code == CLI_OK ? CLI_FAILED : code;
}
