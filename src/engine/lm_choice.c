/* lm_choice.c - see lm_choice.h. Letters' case is that of ASCII: other alphabets are spelled as they are given. */
#include "engine/lm_choice.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void
add_spelling(struct lm_choice *choice, const char *before, const char *text)
{
	char spelling[LM_CHOICE_BYTES + 1];
	snprintf(spelling, sizeof(spelling), "%s%s", before, text);
	for (unsigned i = 0; i < choice->spelling_count; i++) {
		if (strcmp(choice->spellings[i], spelling) == 0)
			return;
	}
	memcpy(choice->spellings[choice->spelling_count++], spelling, sizeof(spelling));
}

/* As given, with a small and a capital first letter, in capitals; each with and without a space before it. */
static void
spell(struct lm_choice *choice)
{
	char word[LM_CHOICE_BYTES];
	static const char *const before[] = {"", " "};
	for (unsigned i = 0; i < 2; i++) {
		memcpy(word, choice->text, sizeof(word));
		add_spelling(choice, before[i], word);
		word[0] = (char)tolower((unsigned char)word[0]);
		add_spelling(choice, before[i], word);
		word[0] = (char)toupper((unsigned char)word[0]);
		add_spelling(choice, before[i], word);
		for (char *c = word; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		add_spelling(choice, before[i], word);
	}
}

static bool
known(const struct lm_choice *choices, unsigned count, const char *text)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcasecmp(choices[i].text, text) == 0)
			return true;
	}
	return false;
}

unsigned
lm_choices(const char *lines, struct lm_choice choices[LM_CHOICES])
{
	unsigned count = 0;
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");
		if (n == 0 || n >= LM_CHOICE_BYTES || count == LM_CHOICES)
			return 0;
		struct lm_choice *choice = &choices[count];
		*choice = (struct lm_choice){.log_p = -INFINITY};
		memcpy(choice->text, lines, n);
		if (known(choices, count, choice->text))
			return 0;
		spell(choice);
		count++;
		lines += n + (lines[n] == '\n');
	}
	return count >= 2 ? count : 0;
}

double
lm_log_add(double a, double b)
{
	double most = a > b ? a : b, least = a > b ? b : a;
	return isinf(most) ? most : most + log1p(exp(least - most));
}

void
lm_choices_normalise(struct lm_choice *choices, unsigned count)
{
	double sum = -INFINITY;
	for (unsigned i = 0; i < count; i++)
		sum = lm_log_add(sum, choices[i].log_p);
	for (unsigned i = 0; i < count; i++)
		choices[i].p = isinf(sum) ? 1.0 / count : exp(choices[i].log_p - sum);
}
