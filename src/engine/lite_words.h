/* lite_words.h - words read in a picture: which to believe, in which order, as one text. Pure functions.
 *
 * Filled by child_tesseract.c, judged and told by lite_words.c and lite_say.c; in the worker scry-lite and in unit
 * tests.
 */
#ifndef ENGINE_LITE_WORDS_H
#define ENGINE_LITE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/lite_look.h"

#define LITE_WORDS_MAX 3500 /* leaves room for the other items of a request (PROTO_ITEMS) */
#define LITE_WORD_BYTES 128 /* PROTO_TEXT */

struct lite_word {
	char text[LITE_WORD_BYTES];
	float score;   /* Tesseract's confidence, 0 to 1 */
	float box[4];  /* x, y, width, height in parts of the picture */
	unsigned line; /* words of one line are neighbours and share the number */
};

struct lite_words {
	struct lite_word *word; /* NULL or malloc'd; lite_words_clear() frees it */
	size_t count;
};

void lite_words_clear(struct lite_words *words);

/* Moves the words of a part of a picture of `width` x `height` pixels to the end of `to`, with boxes in parts of the
 * whole picture and lines counted on. What is past LITE_WORDS_MAX is dropped. `from` is empty afterwards. 0, or
 * SCRY_E_MEMORY. */
int lite_words_append(struct lite_words *to, struct lite_words *from, const struct lite_rect *part, unsigned width,
                      unsigned height);

/* Drops what is no word: too little confidence for this kind of picture, or marks that textures are read as. A photo
 * must be read with more confidence than a screen, where nearly everything that looks like writing is. */
void lite_words_filter(struct lite_words *words, enum lite_kind kind);

/* Puts lines that were found in no order (sparse text) from top to bottom, left to right; words in a line stay. */
void lite_words_order(struct lite_words *words);

/* Writes the words as one text, one blank between words and " / " between lines when `breaks`, cut after at most `most`
 * characters (not bytes) at a word with "..." added. `size` >= 1. */
void lite_words_text(const struct lite_words *words, bool breaks, size_t most, char *to, size_t size);

/* The sum of confidence x length: of two readings of a picture, the better one has more. */
float lite_words_weight(const struct lite_words *words);

#endif
