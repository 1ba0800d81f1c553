/* lite_look.h - what can be measured without a model: light, colours, the kind of picture, whether there may be text.
 *
 * Pure functions over RGB24 pixels, in the worker scry-lite and in unit tests. The limits that tell the kinds apart
 * were chosen by looking at the measures of some 1,700 pictures of Debian packages; tests/model/seeing checks those
 * that ship.
 */
#ifndef ENGINE_LITE_LOOK_H
#define ENGINE_LITE_LOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/lite_resize.h"

enum lite_kind { LITE_PHOTO, LITE_SCREEN, LITE_PAGE, LITE_BLANK };

#define LITE_COLORS 6

struct lite_color {
	const char *name; /* "dark blue"; a constant string */
	float share;      /* of the picture, 0 to 1 */
};

/* Raw measures; all but `ground` and `brightness` are shares of the picture, 0 to 1. */
struct lite_measure {
	float brightness; /* mean luma (ITU-R BT.601), 0 to 1 */
	float contrast;   /* mean distance from the mean luma, 0 to 1 */
	float equal;      /* neighbours in a row that are exactly equal */
	float near;       /* neighbours that differ by 3 of 255 at most in every channel */
	float top;        /* the most frequent colour (5 bits a channel, and those beside it) */
	float top4;       /* the four most frequent */
	float ground;     /* luma of the most frequent colour, 0 to 1 */
	float colored;    /* pixels that are not grey */
	float text;       /* tiles of 16 x 16 that look like writing: two levels, many edges, a neighbour alike */
};

struct lite_look {
	struct lite_measure measure;
	enum lite_kind kind;
	float kind_p;                          /* how clear the kind is, 0 to 1 */
	bool drawn;                            /* a photo by kind, but made of plain areas: a drawing, a logo */
	struct lite_color colors[LITE_COLORS]; /* largest share first; name NULL past the last */
};

/* Measures the picture; takes about 1 ns a pixel. 0, or SCRY_E_MEMORY. */
int lite_look(const struct lite_image *image, struct lite_look *out);

/* "photo", "screen", "page", "blank" */
const char *lite_kind_name(enum lite_kind kind);

/* The kind that the measures speak for. *p gets how clearly, 0 to 1. */
enum lite_kind lite_look_kind(const struct lite_measure *measure, float *p);

/* The name of a colour as people say it: one of some 30. Never NULL. */
const char *lite_color_name(unsigned r, unsigned g, unsigned b);

/* True when reading is worth its time. */
bool lite_look_has_text(const struct lite_look *look);

#endif
