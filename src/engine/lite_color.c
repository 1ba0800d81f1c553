/* lite_color.c - names of colours. Pure; in the worker scry-lite and in unit tests.
 *
 * The eleven basic colour terms of English (Berlin and Kay, Basic Color Terms, 1969) and "teal" for what lies
 * between green and blue, with "dark" and "light" where hue allows it. Borders of hue are those of the usual HSV
 * circle.
 */
#include "engine/lite_look.h"

static unsigned
largest(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a > b ? a : b;
	return ab > c ? ab : c;
}

static unsigned
smallest(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Hue in degrees; `chroma` is not 0. */
static int
hue_of(int r, int g, int b, int high, int chroma)
{
	if (high == r)
		return (60 * (g - b) / chroma + 360) % 360;
	if (high == g)
		return 60 * (b - r) / chroma + 120;
	return 60 * (r - g) / chroma + 240;
}

static const char *
grey_name(unsigned luma)
{
	return luma < 36 ? "black" : luma < 92 ? "dark grey" : luma < 180 ? "grey" : luma < 232 ? "light grey" : "white";
}

struct hue {
	int end; /* hues below this, in degrees */
	const char *dark, *plain, *light;
};

static const struct hue hues[] = {
	{14, "dark red", "red", "pink"},          {42, "brown", "orange", "beige"},
	{68, "olive", "yellow", "light yellow"},  {160, "dark green", "green", "light green"},
	{192, "dark teal", "teal", "light teal"}, {250, "dark blue", "blue", "light blue"},
	{292, "dark purple", "purple", "lilac"},  {335, "dark purple", "magenta", "pink"},
	{361, "dark red", "red", "pink"},
};

const char *
lite_color_name(unsigned r, unsigned g, unsigned b)
{
	unsigned high = largest(r, g, b), low = smallest(r, g, b), chroma = high - low;
	unsigned luma = (299 * r + 587 * g + 114 * b) / 1000;
	/* A dark colour needs less chroma to be seen as one than a light one. */
	if (high < 40 || chroma * 100 < (high < 180 ? 24u : 14u) * high)
		return high < 40 ? "black" : grey_name(luma);
	int hue = hue_of((int)r, (int)g, (int)b, (int)high, (int)chroma);
	const struct hue *at = hues;
	while (hue >= at->end)
		at++;
	/* Yellow is light by itself; blue and purple look plain at a luma at which green is dark. */
	unsigned dark_below = at->end == 42 ? 150 : at->end == 68 ? 140 : at->end == 250 || at->end == 292 ? 120 : 140;
	if (high < dark_below || (at->end == 42 && high < 190 && chroma * 100 < 75 * high))
		return at->dark;
	return chroma * 100 < 45 * high && high > 150 ? at->light : at->plain;
}
