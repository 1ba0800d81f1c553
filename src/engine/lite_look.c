/* lite_look.c - measuring a picture. In the worker scry-lite and in unit tests.
 *
 * One pass over rows (not all of a large picture) fills sums and a histogram of 32,768 colours; lite_text.c
 * looks for writing. What they say is judged in lite_look_kind().
 */
#include "engine/lite_look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lite_text.h"
#include "scry.h"

#define BINS (1u << 15)
#define TALLY_PIXELS 250000u /* rows are left out so that some so many are counted */
#define TEXT_LEAST .004f     /* share of tiles from which reading is tried: half a line in a full-screen picture */

struct tally {
	uint64_t pixels, luma, pairs, equal, near, colored;
	uint32_t lumas[256];
	uint32_t *bins; /* BINS */
};

static unsigned
difference(const uint8_t *a, const uint8_t *b)
{
	unsigned worst = 0;
	for (int i = 0; i < 3; i++) {
		unsigned d = (unsigned)abs((int)a[i] - (int)b[i]);
		worst = d > worst ? d : worst;
	}
	return worst;
}

static void
tally_row(struct tally *tally, const uint8_t *row, unsigned width)
{
	for (unsigned x = 0; x < width; x++) {
		const uint8_t *p = row + 3 * (size_t)x;
		unsigned luma = lite_luma(p);
		int rg = p[0] - p[1], gb = p[1] - p[2], br = p[2] - p[0];
		tally->luma += luma;
		tally->lumas[luma]++;
		tally->bins[(p[0] >> 3) << 10 | (p[1] >> 3) << 5 | p[2] >> 3]++;
		tally->colored += abs(rg) > 24 || abs(gb) > 24 || abs(br) > 24;
		if (x > 0) {
			unsigned d = difference(p, p - 3);
			tally->equal += d == 0;
			tally->near += d <= 3;
		}
	}
	tally->pixels += width;
	tally->pairs += width - 1;
}

/* Count of a colour and those one step beside it in each channel: light and compression spread a colour. Takes them
 * out. */
static uint64_t
take_bin(uint32_t *bins, unsigned top)
{
	uint64_t sum = 0;
	int r = (int)(top >> 10), g = (int)(top >> 5 & 31), b = (int)(top & 31);
	for (int i = 0; i < 27; i++) {
		int cr = r + i / 9 - 1, cg = g + i / 3 % 3 - 1, cb = b + i % 3 - 1;
		if (cr < 0 || cr > 31 || cg < 0 || cg > 31 || cb < 0 || cb > 31)
			continue;
		uint32_t *bin = &bins[cr << 10 | cg << 5 | cb];
		sum += *bin;
		*bin = 0;
	}
	return sum;
}

static unsigned
top_bin(const uint32_t *bins)
{
	unsigned top = 0;
	for (unsigned i = 1; i < BINS; i++)
		top = bins[i] > bins[top] ? i : top;
	return top;
}

static void
name_colors(const struct tally *tally, struct lite_color colors[LITE_COLORS])
{
	struct lite_color all[40] = {{0}};
	size_t known = 0;
	for (unsigned i = 0; i < BINS; i++) {
		if (tally->bins[i] == 0)
			continue;
		/* The middle of the bin, stretched so that the last bins reach 255. */
		const char *name = lite_color_name((i >> 10) * 255 / 31, (i >> 5 & 31) * 255 / 31, (i & 31) * 255 / 31);
		size_t k = 0;
		while (k < known && strcmp(all[k].name, name) != 0)
			k++;
		if (k == sizeof(all) / sizeof(all[0]))
			continue;
		known += k == known;
		all[k].name = name;
		all[k].share += (float)tally->bins[i] / (float)tally->pixels;
	}
	for (size_t i = 0; i < LITE_COLORS; i++) {
		size_t best = 0;
		for (size_t k = 1; k < known; k++)
			best = all[k].share > all[best].share ? k : best;
		colors[i] = all[best];
		if (colors[i].share < .02f)
			colors[i] = (struct lite_color){.name = NULL};
		all[best].share = 0.f;
	}
}

static void
measure(struct tally *tally, struct lite_look *out)
{
	struct lite_measure *m = &out->measure;
	float pixels = (float)tally->pixels, pairs = tally->pairs > 0 ? (float)tally->pairs : 1.f;
	m->brightness = (float)tally->luma / pixels / 255.f;
	m->contrast = 0.f;
	for (int i = 0; i < 256; i++)
		m->contrast += fabsf((float)i / 255.f - m->brightness) * (float)tally->lumas[i] / pixels;
	m->equal = (float)tally->equal / pairs;
	m->near = (float)tally->near / pairs;
	m->colored = (float)tally->colored / pixels;
	name_colors(tally, out->colors);
	unsigned top = top_bin(tally->bins);
	uint8_t ground[3] = {(uint8_t)((top >> 10) * 255 / 31), (uint8_t)((top >> 5 & 31) * 255 / 31),
	                     (uint8_t)((top & 31) * 255 / 31)};
	m->ground = (float)lite_luma(ground) / 255.f;
	m->top = m->top4 = (float)take_bin(tally->bins, top) / pixels;
	for (int i = 0; i < 3; i++)
		m->top4 += (float)take_bin(tally->bins, top_bin(tally->bins)) / pixels;
}

/* Drawn by a program: exactly equal neighbours and few colours. Compression blurs both, but leaves neighbours close. */
static bool
is_rendered(const struct lite_measure *m)
{
	return m->top4 >= .75f && (m->equal >= .75f || (m->near >= .8f && m->text >= .05f));
}

int
lite_look(const struct lite_image *image, struct lite_look *out)
{
	struct tally tally = {.bins = calloc(BINS, sizeof(uint32_t))};
	struct lite_look look = {0};
	if (tally.bins == NULL)
		return SCRY_E_MEMORY;
	unsigned step = (unsigned)((uint64_t)image->width * image->height / TALLY_PIXELS) + 1;
	for (unsigned y = 0; y < image->height; y += step)
		tally_row(&tally, image->rgb + y * image->stride, image->width);
	measure(&tally, &look);
	free(tally.bins);
	int error = lite_text_share(image, &look.measure.text);
	if (error < 0)
		return error;
	look.kind = lite_look_kind(&look.measure, &look.kind_p);
	look.drawn = look.kind == LITE_PHOTO && is_rendered(&look.measure);
	*out = look;
	return 0;
}

const char *
lite_kind_name(enum lite_kind kind)
{
	static const char *const names[] = {"photo", "screen", "page", "blank"};
	return names[kind];
}

enum lite_kind
lite_look_kind(const struct lite_measure *m, float *p)
{
	if (m->text < TEXT_LEAST && m->top > .97f && m->contrast < .02f) {
		*p = m->top;
		return LITE_BLANK;
	}
	if (is_rendered(m) && m->text >= TEXT_LEAST) {
		*p = fminf(m->near, m->top4);
		return m->ground >= .8f && m->top >= .85f ? LITE_PAGE : LITE_SCREEN;
	}
	/* A photographed page: writing all over, hardly any colour, on light ground. */
	if (m->text >= .2f && m->colored < .1f && m->ground >= .55f) {
		*p = fminf(1.f, .5f + m->text);
		return LITE_PAGE;
	}
	*p = is_rendered(m) ? .5f : fminf(1.f, 1.25f - m->equal / 2.f);
	return LITE_PHOTO;
}

bool
lite_look_has_text(const struct lite_look *look)
{
	return look->kind != LITE_BLANK && look->measure.text >= TEXT_LEAST;
}
