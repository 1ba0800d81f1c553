/* lite_say.h - what was seen and read, in one or two plain sentences of English. Pure functions.
 *
 *     A cat, close up.
 *     One person in the centre, a coffee cup on the left; text: EXIT.
 *     A photo, mostly dark blue and black; nothing that this model knows.
 *
 * Said in two parts, so that what is seen can be told while the text is still being read. In the worker scry-lite
 * and in tests.
 */
#ifndef ENGINE_LITE_SAY_H
#define ENGINE_LITE_SAY_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/lite_judge.h"
#include "engine/lite_look.h"
#include "engine/lite_words.h"

#define LITE_SAY_BYTES 2048

/* Why there are no words, where there are none. */
enum lite_reading {
	LITE_READ,         /* `words` is what there was */
	LITE_READ_NOT,     /* nobody asked, or nothing looked like text */
	LITE_READ_NO_DATA, /* there may be text, but no language data to read it with */
};

struct lite_scene {
	const struct lite_look *look;
	const struct lite_finds *objects;
	const struct lite_finds *faces;
	const char *const *labels; /* names of the kinds of objects */
	bool looked;               /* the object detector ran */
	enum lite_reading reading;
	const struct lite_words *words;
};

/* The first part: what is seen, beginning with a capital letter, without a full stop. `to` has LITE_SAY_BYTES. */
void lite_say_seen(const struct lite_scene *scene, char *to);

/* The second part: what was read, and the full stop. `to` has LITE_SAY_BYTES. */
void lite_say_read(const struct lite_scene *scene, char *to);

/* Where a box is: "on the left", "in the centre", "at the bottom right". A constant string. */
const char *lite_say_place(const float box[4]);

/* A number of things in words: "a cat", "an apple", "one person", "two coffee cups", "footwear", "14 people". */
void lite_say_count(const char *label, size_t count, char *to, size_t size);

#endif
