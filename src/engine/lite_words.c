/* lite_words.c - judging and ordering what was read. Pure; in the worker scry-lite and in unit tests. */
#include "engine/lite_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "scry.h"

void
lite_words_clear(struct lite_words *words)
{
	free(words->word);
	words->word = NULL;
	words->count = 0;
}

int
lite_words_append(struct lite_words *to, struct lite_words *from, const struct lite_rect *part, unsigned width,
                  unsigned height)
{
	size_t room = LITE_WORDS_MAX - to->count, count = from->count < room ? from->count : room;
	unsigned line = to->count > 0 ? to->word[to->count - 1].line + 1 : 0;
	struct lite_word *all = realloc(to->word, (to->count + count + 1) * sizeof(*all));
	if (all == NULL)
		return SCRY_E_MEMORY;
	to->word = all;
	for (size_t i = 0; i < count; i++) {
		struct lite_word *word = &all[to->count++];
		*word = from->word[i];
		word->line += line;
		word->box[0] = ((float)part->x + word->box[0] * (float)part->width) / (float)width;
		word->box[1] = ((float)part->y + word->box[1] * (float)part->height) / (float)height;
		word->box[2] *= (float)part->width / (float)width;
		word->box[3] *= (float)part->height / (float)height;
	}
	lite_words_clear(from);
	return 0;
}

/* Letters and digits in a word; a byte sequence beyond ASCII counts as a letter once. */
static size_t
letters(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		count += isalnum(c) || (c & 0xc0) == 0xc0;
	}
	return count;
}

static size_t
characters(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

/* Whether a word is one, by itself. In a photo a word needs letters and certainty: leaves and stained tissue are
 * read as words of three letters ("tag") with confidences up to 0.9. */
static bool
is_word(const struct lite_word *word, enum lite_kind kind)
{
	size_t inside = letters(word->text), all = characters(word->text);
	if (kind != LITE_PHOTO)
		return word->score >= .3f && all > 0;
	return word->score >= (inside > 3 ? .8f : .92f) && inside >= 3 && inside * 10 >= all * 7;
}

/* In a photo, a short word beside a certain one on the same line is one as well: "Exit to A4". */
static bool
has_certain_neighbour(const struct lite_words *words, size_t at)
{
	const struct lite_word *word = words->word;
	if (word[at].score < .6f || letters(word[at].text) == 0)
		return false;
	return (at > 0 && word[at - 1].line == word[at].line && is_word(&word[at - 1], LITE_PHOTO)) ||
		(at + 1 < words->count && word[at + 1].line == word[at].line && is_word(&word[at + 1], LITE_PHOTO));
}

void
lite_words_filter(struct lite_words *words, enum lite_kind kind)
{
	size_t kept = 0;
	bool *keep = words->count > 0 ? calloc(words->count, sizeof(*keep)) : NULL;
	if (keep == NULL) {
		words->count = 0;
		return;
	}
	for (size_t i = 0; i < words->count; i++)
		keep[i] = is_word(&words->word[i], kind) || (kind == LITE_PHOTO && has_certain_neighbour(words, i));
	for (size_t i = 0; i < words->count; i++) {
		if (keep[i])
			words->word[kept++] = words->word[i];
	}
	words->count = kept;
	free(keep);
}

struct line {
	size_t first, count;
	float top, left, height;
};

static int
compare_lines(const void *a, const void *b)
{
	const struct line *one = a, *two = b;
	float height = one->height < two->height ? one->height : two->height;
	/* Lines beside each other, as in columns: the left one first. */
	if (one->top - two->top > height / 2)
		return 1;
	if (two->top - one->top > height / 2)
		return -1;
	return one->left < two->left ? -1 : one->left > two->left;
}

static size_t
find_lines(const struct lite_words *words, struct line *lines)
{
	size_t count = 0;
	for (size_t i = 0; i < words->count; i++) {
		const struct lite_word *word = &words->word[i];
		if (i > 0 && word->line == words->word[i - 1].line) {
			lines[count - 1].count++;
			continue;
		}
		lines[count++] =
			(struct line){.first = i, .count = 1, .top = word->box[1], .left = word->box[0], .height = word->box[3]};
	}
	return count;
}

/* Insertion sort: compare_lines() is no total order (beside is not transitive), which qsort() must not be given. */
static void
sort_lines(struct line *lines, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct line line = lines[i];
		size_t j = i;
		for (; j > 0 && compare_lines(&lines[j - 1], &line) > 0; j--)
			lines[j] = lines[j - 1];
		lines[j] = line;
	}
}

void
lite_words_order(struct lite_words *words)
{
	struct line *lines = words->count > 1 ? malloc(words->count * sizeof(*lines)) : NULL;
	struct lite_word *sorted = lines != NULL ? malloc(words->count * sizeof(*sorted)) : NULL;
	size_t n = 0;
	if (sorted == NULL) {
		free(lines);
		return; /* the order they were found in does as well */
	}
	size_t count = find_lines(words, lines);
	sort_lines(lines, count);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < lines[i].count; k++) {
			sorted[n] = words->word[lines[i].first + k];
			sorted[n++].line = (unsigned)i;
		}
	}
	free(lines);
	free(words->word);
	words->word = sorted;
}

static size_t
append(char *to, size_t size, size_t used, const char *text)
{
	str_copy(to + used, size - used, text);
	return used + strlen(to + used);
}

void
lite_words_text(const struct lite_words *words, bool breaks, size_t most, char *to, size_t size)
{
	size_t used = 0, told = 0;
	to[0] = '\0';
	for (size_t i = 0; i < words->count; i++) {
		const struct lite_word *word = &words->word[i];
		const char *between = i == 0 ? "" : breaks && word->line != words->word[i - 1].line ? " / " : " ";
		size_t more = characters(word->text) + strlen(between);
		/* Room for the dots stays behind every word. */
		if (told + more > most || used + strlen(word->text) + strlen(between) + sizeof(" ...") > size) {
			append(to, size, used, i > 0 ? " ..." : "...");
			return;
		}
		used = append(to, size, used, between);
		used = append(to, size, used, word->text);
		told += more;
	}
}

float
lite_words_weight(const struct lite_words *words)
{
	float sum = 0.f;
	for (size_t i = 0; i < words->count; i++)
		sum += words->word[i].score * (float)characters(words->word[i].text);
	return sum;
}
