/* lm_choice.h - answers to choose from: how each may be spelled, and what the spellings' probabilities come to.
 *
 * "yes" may be said as "Yes", " yes" or "YES", and each is other tokens to a model; an answer's probability is the sum
 * over its spellings, and the answers' probabilities are made to sum to one. Used by child_llama_ask.c; pure.
 */
#ifndef ENGINE_LM_CHOICE_H
#define ENGINE_LM_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#define LM_CHOICES 64         /* answers of one question */
#define LM_CHOICE_BYTES 128   /* of one answer, the NUL included (PROTO_TEXT) */
#define LM_SPELLINGS 8        /* of one answer */
#define LM_SPELLING_TOKENS 48 /* of one spelling */

struct lm_choice {
	char text[LM_CHOICE_BYTES];
	unsigned spelling_count;
	char spellings[LM_SPELLINGS][LM_CHOICE_BYTES + 1];
	double log_p; /* sum over the spellings so far, as a logarithm */
	double p;
};

/* Takes the lines of `lines` as answers, with their spellings. The number, 2 .. LM_CHOICES; 0 when there are fewer than
 * two, too many, an empty or too long one, or the same one twice. */
unsigned lm_choices(const char *lines, struct lm_choice choices[LM_CHOICES]);

/* log(exp(a) + exp(b)), also for -INFINITY. */
double lm_log_add(double a, double b);

/* Fills p from log_p: they sum to one. All equal when no spelling has any probability. */
void lm_choices_normalise(struct lm_choice *choices, unsigned count);

#endif
