/* words.c - see words.h. Runs in the core. */
#include "run/words.h"

#include <string.h>
#include <unistd.h>

#define CHUNKS_A_TURN 128

static void
keep(struct words *words, const char *chunk, size_t take)
{
	size_t room = sizeof(words->text) - 1;
	if (words->bytes + take > room) {
		size_t drop = words->bytes + take - room;
		drop = drop < words->bytes ? drop : words->bytes;
		memmove(words->text, words->text + drop, words->bytes - drop);
		words->bytes -= drop;
	}
	memcpy(words->text + words->bytes, chunk, take);
	words->bytes += take;
}

bool
words_read(struct words *words, int fd)
{
	char chunk[512];
	ssize_t n = 1;
	for (unsigned i = 0; i < CHUNKS_A_TURN && (n = read(fd, chunk, sizeof(chunk))) > 0; i++)
		keep(words, chunk, (size_t)n);
	words->text[words->bytes] = '\0';
	return n != 0;
}

/* The last line; that is where a program says what killed it. */
static const char *
last_line(char *text)
{
	size_t n = strlen(text);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		text[--n] = '\0';
	char *line = strrchr(text, '\n');
	return line == NULL ? text : line + 1;
}

bool
words_left_at_once(const struct words_end *end)
{
	return !end->hello && end->status.si_pid != 0 && end->status.si_code == CLD_EXITED;
}

void
words_tell(struct words *words, const struct words_end *end, struct why *why)
{
	int status = end->status.si_status;
	const char *line = last_line(words->text);
	const char *colon = line[0] != '\0' ? "; its last words: " : "";
	if (end->status.si_pid == 0)
		why_set(why, 0, "worker %s ended%s%s", end->name, colon, line);
	else if (words_left_at_once(end))
		why_set(why, 0, "%s ended with status %d before it said hello; is it a worker of scry?%s%s", end->path, status,
		        colon, line);
	else if (end->status.si_code == CLD_EXITED)
		why_set(why, 0, "worker %s ended with status %d%s%s", end->name, status, colon, line);
	else
		why_set(why, 0, "worker %s died of signal %d (%s)%s%s", end->name, status,
		        sigdescr_np(status) != NULL ? sigdescr_np(status) : "?", colon, line);
}
