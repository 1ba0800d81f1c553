/* verb_describe.c - `scry describe`: pictures in, sentences out, in the order they were named.
 *
 * Up to WINDOW pictures are under way at once, so that one is decoded while another is described; results are printed in
 * order. One that fails is said on standard error and the others go on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"

#define WINDOW 4
#define STDIN_MAX ((size_t)64 << 20) /* as the eye's own limit */

struct picture {
	struct describing *all;
	const char *name;
	bool over;
	int error;
	char sentence[512];
	struct scry_result *result;
	bool began; /* with --stream: something of it has been printed */
};

struct describing {
	const struct cli_args *args;
	struct scry *scry;
	struct picture *pictures;
	int submitted, printed;
	int code;
};

/* An answer as text. A worker that fell to a picture may say what a terminal obeys; lines and tabs are all it needs. */
static void
put_words(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
		bool c0 = at[0] == 0x7f || (at[0] < 0x20 && at[0] != '\n' && at[0] != '\t');
		putchar(c0 || c1 ? '?' : at[0]);
		at += c1;
	}
}

static void
on_piece(void *user, const char *text)
{
	struct picture *picture = user;
	const struct cli_args *args = picture->all->args;
	if (!picture->began && args->name_count > 1)
		printf("%s: ", picture->name);
	picture->began = true;
	put_words(text);
	cli_flush_now();
}

static void
on_done(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct picture *picture = user;
	picture->over = true;
	picture->error = error;
	picture->result = result;
	snprintf(picture->sentence, sizeof(picture->sentence), "%s", sentence);
}

/* Standard input as a memory file; it is read to its end before anything else happens. */
static int
read_stdin(int *fd)
{
	size_t size;
	int error = fd_sealed_drain("scry-stdin", STDIN_FILENO, STDIN_MAX, &size);
	if (error == -EFBIG) {
		fprintf(stderr, "scry: standard input: more than %zu MiB\n", STDIN_MAX >> 20);
		return SCRY_E_LIMIT;
	}
	if (error < 0) {
		fprintf(stderr, "scry: standard input: %s\n", error == -EBADF ? "it is closed" : strerror(-error));
		return SCRY_E_INPUT;
	}
	*fd = error;
	return 0;
}

static int
submit(struct describing *all, struct picture *picture)
{
	const struct cli_args *args = all->args;
	struct scry_query query = {.prompt = args->prompt,
	                           .language = args->language,
	                           .max_tokens = args->max_tokens,
	                           .deadline_ms = args->deadline_ms,
	                           .no_text = args->no_text,
	                           .no_drafts = args->no_drafts,
	                           .greedy = args->greedy,
	                           .temperature = args->temperature,
	                           .seed = args->seed,
	                           .choices = args->choices,
	                           .schema = args->schema};
	struct scry_image image = scry_image_path(picture->name);
	_cleanup_fd_ int fd = -1;
	if (strcmp(picture->name, "-") == 0) {
		int error = read_stdin(&fd);
		if (error < 0)
			return error;
		image = scry_image_fd(fd);
		image.name = picture->name = "standard input";
	}
	/* Pieces of several pictures would mix: with --stream they are taken one by one. */
	int error = scry_submit(all->scry, image, &query, args->stream ? on_piece : NULL, on_done, picture, NULL);
	if (error < 0)
		cli_fail(error, scry_error(all->scry));
	return error;
}

/* --stream --json: the pieces are for people, the document for programs; both would be neither. */
static void
print_json(struct picture *picture)
{
	const char *json = scry_result_json(picture->result);
	puts(json != NULL ? json : "{}");
}

/* The answers with their probabilities, the likeliest first. */
static void
print_choices(const struct picture *picture)
{
	struct scry_label label;
	for (size_t i = 0; scry_result_label(picture->result, i, &label) == 0; i++)
		printf("%s%s %.3f", i > 0 ? ", " : "", label.label, (double)label.p);
	puts("");
}

static void
print_text(const struct describing *all, const struct picture *picture)
{
	const char *text = scry_result_text(picture->result);
	if (picture->began) {
		puts("");
		return;
	}
	if (all->args->name_count > 1)
		printf("%s: ", picture->name);
	if (all->args->choices != NULL) {
		print_choices(picture);
		return;
	}
	put_words(text[0] != '\0' ? text : "(no description: backend none)");
	putchar('\n');
}

static void
keep_code(struct describing *all, int error)
{
	int code = cli_exit_of(error);
	if (all->code == CLI_OK)
		all->code = code;
}

static void
print_one(struct describing *all, struct picture *picture)
{
	if (picture->error < 0) {
		if (picture->began)
			puts("");
		if (picture->sentence[0] != '\0')
			cli_fail(picture->error, picture->sentence);
		keep_code(all, picture->error);
	} else if (all->args->json) {
		print_json(picture);
	} else {
		print_text(all, picture);
	}
	cli_flush_now();
	scry_result_free(picture->result);
	picture->result = NULL;
}

static void
submit_next(struct describing *all)
{
	struct picture *picture = &all->pictures[all->submitted++];
	int error = submit(all, picture);
	if (error == 0)
		return;
	picture->over = true;
	picture->error = error;
}

static void
describe_all(struct describing *all)
{
	int count = all->args->name_count, window = all->args->stream ? 1 : WINDOW;
	/* Nobody reads any more: `| head -1` of a thousand pictures ends with the first. */
	while (all->printed < count && !ferror(stdout)) {
		while (all->submitted < count && all->submitted - all->printed < window)
			submit_next(all);
		if (!all->pictures[all->printed].over)
			scry_dispatch(all->scry, -1);
		while (all->printed < all->submitted && all->pictures[all->printed].over)
			print_one(all, &all->pictures[all->printed++]);
	}
}

int
cli_describe(const struct cli_args *args)
{
	struct describing all = {.args = args, .code = CLI_OK};
	if (args->stream && args->json)
		return cli_fail(SCRY_E_ARGUMENT, "--stream prints words and --json documents; choose one");
	all.pictures = calloc((size_t)args->name_count, sizeof(*all.pictures));
	all.scry = cli_open(args);
	if (all.pictures == NULL || all.scry == NULL) {
		free(all.pictures);
		scry_close(all.scry);
		return CLI_FAILED;
	}
	for (int i = 0; i < args->name_count; i++)
		all.pictures[i] = (struct picture){.all = &all, .name = args->names[i]};
	describe_all(&all);
	scry_close(all.scry);
	for (int i = all.printed; i < args->name_count; i++) /* seen, and not printed */
		scry_result_free(all.pictures[i].result);
	free(all.pictures);
	return all.code;
}
