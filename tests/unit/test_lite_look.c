/* test_lite_look.c - colours, kinds of pictures, scaling, where writing is, and words. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lite_look.h"
#include "engine/lite_text.h"
#include "engine/lite_words.h"

static void
test_colors(void **state)
{
	(void)state;
	static const struct {
		unsigned rgb;
		const char *name;
	} table[] = {
		{0x000000, "black"},      {0x1e1e1e, "black"},       {0xffffff, "white"},      {0xf5f5f5, "white"},
		{0x404040, "dark grey"},  {0x808080, "grey"},        {0xc8c8c8, "light grey"}, {0xff0000, "red"},
		{0x800000, "dark red"},   {0xffb0b0, "pink"},        {0xff8000, "orange"},     {0x8b5a2b, "brown"},
		{0xf5deb3, "beige"},      {0xffff00, "yellow"},      {0x808000, "olive"},      {0x00ff00, "green"},
		{0x005000, "dark green"}, {0x90ee90, "light green"}, {0x00b0b0, "teal"},       {0x0000ff, "blue"},
		{0x002050, "dark blue"},  {0xa0c0ff, "light blue"},  {0x8000ff, "purple"},     {0xff00ff, "magenta"},
		{0xffc0e0, "pink"},       {0x708090, "grey"},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		assert_string_equal(lite_color_name(table[i].rgb >> 16, table[i].rgb >> 8 & 255, table[i].rgb & 255),
		                    table[i].name);
	/* Every colour has a name. */
	for (unsigned i = 0; i < 1u << 24; i += 251)
		assert_non_null(lite_color_name(i >> 16, i >> 8 & 255, i & 255));
}

static struct lite_image
picture(unsigned width, unsigned height, unsigned rgb)
{
	uint8_t *pixels = malloc((size_t)width * height * 3);
	for (size_t i = 0; i < (size_t)width * height; i++) {
		pixels[3 * i] = (uint8_t)(rgb >> 16);
		pixels[3 * i + 1] = (uint8_t)(rgb >> 8);
		pixels[3 * i + 2] = (uint8_t)rgb;
	}
	return (struct lite_image){.rgb = pixels, .width = width, .height = height, .stride = (size_t)width * 3};
}

static void
fill(struct lite_image *image, unsigned x, unsigned y, unsigned width, unsigned height, uint8_t value)
{
	for (unsigned row = y; row < y + height; row++)
		memset((uint8_t *)(uintptr_t)image->rgb + row * image->stride + 3 * (size_t)x, value, 3 * (size_t)width);
}

/* Bars two pixels wide in lines ten high: what letters are to the eye of a tile. */
static void
scribble(struct lite_image *image, unsigned x, unsigned y, unsigned width, unsigned lines, unsigned by)
{
	for (unsigned line = 0; line < lines; line++) {
		for (unsigned at = 0; at + 5 * by <= width; at += 5 * by)
			fill(image, x + at, y + line * 20 * by, 2 * by, 10 * by, 0);
	}
}

static void
test_kinds(void **state)
{
	(void)state;
	struct lite_look look;
	struct lite_image image = picture(640, 480, 0xffffff);
	assert_int_equal(lite_look(&image, &look), 0);
	assert_int_equal(look.kind, LITE_BLANK);
	assert_string_equal(look.colors[0].name, "white");
	assert_true(look.colors[0].share > .99f && look.measure.brightness > .99f);
	assert_null(look.colors[1].name);
	assert_false(lite_look_has_text(&look));
	scribble(&image, 40, 40, 560, 18, 1);
	assert_int_equal(lite_look(&image, &look), 0);
	assert_int_equal(look.kind, LITE_PAGE);
	assert_true(lite_look_has_text(&look));
	fill(&image, 0, 0, 640, 30, 64); /* a title bar and a dark column: no page has those */
	fill(&image, 0, 0, 200, 480, 32);
	assert_int_equal(lite_look(&image, &look), 0);
	assert_int_equal(look.kind, LITE_SCREEN);
	for (size_t i = 0; i < 640u * 480 * 3; i++) /* noise: nothing drawn is like that */
		((uint8_t *)(uintptr_t)image.rgb)[i] = (uint8_t)((i * 2654435761u) >> 13);
	assert_int_equal(lite_look(&image, &look), 0);
	assert_int_equal(look.kind, LITE_PHOTO);
	assert_false(look.drawn);
	assert_false(lite_look_has_text(&look));
	free((void *)(uintptr_t)image.rgb);
	image = picture(200, 200, 0x2040c0);
	fill(&image, 50, 50, 100, 100, 255);
	assert_int_equal(lite_look(&image, &look), 0);
	assert_int_equal(look.kind, LITE_PHOTO);
	assert_true(look.drawn);
	free((void *)(uintptr_t)image.rgb);
}

/* From one pixel on, no size is read beyond its rows: run under the sanitizers. */
static void
test_small(void **state)
{
	(void)state;
	for (unsigned width = 1; width < 70; width += 3) {
		for (unsigned height = 1; height < 70; height += 7) {
			struct lite_look look;
			struct lite_rect regions[LITE_REGIONS_MAX];
			size_t count;
			struct lite_image image = picture(width, height, 0x808080);
			assert_int_equal(lite_look(&image, &look), 0);
			assert_int_equal(lite_text_regions(&image, regions, &count), 0);
			assert_int_equal(count, 0);
			free((void *)(uintptr_t)image.rgb);
		}
	}
}

static void
test_regions(void **state)
{
	(void)state;
	for (unsigned by = 1; by <= 4; by += 3) { /* small letters, and such as are larger than a tile */
		struct lite_image image = picture(1600, 1200, 0xc0c0c0);
		struct lite_rect regions[LITE_REGIONS_MAX];
		size_t count;
		scribble(&image, 700, 500, 400, 1, by);
		assert_int_equal(lite_text_regions(&image, regions, &count), 0);
		assert_int_equal(count, 1);
		assert_true(regions[0].x <= 700 && regions[0].x + regions[0].width >= 1100);
		assert_true(regions[0].y <= 500 && regions[0].y + regions[0].height >= 500 + 10 * by);
		assert_true(regions[0].width < 800 && regions[0].height < 400);
		free((void *)(uintptr_t)image.rgb);
	}
}

static void
test_resize(void **state)
{
	(void)state;
	static const uint8_t four[] = {0, 0, 0, 100, 100, 100, 200, 200, 200, 100, 100, 100};
	struct lite_image image = {.rgb = four, .width = 2, .height = 2, .stride = 6};
	uint8_t out[16 * 3];
	assert_int_equal(lite_resize(&image, out, 1, 1), 0);
	assert_int_equal(out[0], 100); /* the mean of all four */
	assert_int_equal(lite_resize(&image, out, 2, 2), 0);
	assert_memory_equal(out, four, sizeof(four));
	assert_int_equal(lite_resize(&image, out, 4, 4), 0);
	assert_int_equal(out[0], 0);  /* a corner is the corner */
	assert_int_equal(out[3], 25); /* a quarter of the way to 100 */
	assert_int_equal(out[15 * 3], 100);
	image = picture(7, 5, 0x40ff10);
	for (unsigned side = 1; side <= 4; side++) { /* weights add up to one whatever the ratio */
		assert_int_equal(lite_resize(&image, out, side, side), 0);
		for (unsigned i = 0; i < side * side; i++)
			assert_true(out[3 * i] == 0x40 && out[3 * i + 1] == 0xff && out[3 * i + 2] == 0x10);
	}
	float input[8 * 8 * 3];
	struct lite_rect rect = lite_resize_fit(7, 5, 8);
	assert_true(rect.x == 0 && rect.y == 1 && rect.width == 8 && rect.height == 6);
	assert_int_equal(lite_resize_input(&image, input, 8, &rect), 0);
	assert_true(input[0] == -1.f && input[8 * 8 * 3 - 1] == -1.f);
	assert_true(fabsf(input[3 * 8 + 1] - 1.f) < 1e-5f);
	rect = lite_resize_fit(1, 10000, 8);
	assert_true(rect.width == 1 && rect.height == 8 && rect.x == 3);
	free((void *)(uintptr_t)image.rgb);
}

static struct lite_words
words_of(const struct lite_word *from, size_t count)
{
	struct lite_words words = {.word = malloc(count * sizeof(*from)), .count = count};
	memcpy(words.word, from, count * sizeof(*from));
	return words;
}

static void
check_text(const struct lite_words *words, bool breaks, size_t most, const char *want)
{
	char text[256];
	lite_words_text(words, breaks, most, text, sizeof(text));
	assert_string_equal(text, want);
}

static void
test_words(void **state)
{
	(void)state;
	static const struct lite_word some[] = {
		{"below", .9f, {.1f, .5f, .1f, .04f}, 0},
		{"this", .9f, {.3f, .5f, .1f, .04f}, 0},
		{"right", .9f, {.6f, .11f, .1f, .04f}, 1},
		{"Left", .9f, {.1f, .10f, .1f, .04f}, 2},
	};
	struct lite_words words = words_of(some, COUNT(some));
	lite_words_order(&words);
	check_text(&words, false, 100, "Left right below this");
	check_text(&words, true, 100, "Left / right / below this");
	check_text(&words, false, 10, "Left right ...");
	check_text(&words, false, 3, "...");
	char tiny[8];
	lite_words_text(&words, false, 100, tiny, sizeof(tiny));
	assert_string_equal(tiny, "...");
	assert_true(fabsf(lite_words_weight(&words) - .9f * 18) < 1e-4f);
	lite_words_clear(&words);
	check_text(&words, true, 100, "");
}

static void
test_filter(void **state)
{
	(void)state;
	static const struct lite_word some[] = {{"EXIT", .93f, {0}, 0},
	                                        {"A4", .7f, {0}, 0},
	                                        {"tag", .88f, {0}, 1},
	                                        {"~|", .95f, {0}, 2},
	                                        {"Hello", .5f, {0}, 3}};
	struct lite_words words = words_of(some, COUNT(some));
	lite_words_filter(&words, LITE_PHOTO);
	check_text(&words, false, 100, "EXIT A4");
	lite_words_clear(&words);
	words = words_of(some, COUNT(some));
	lite_words_filter(&words, LITE_SCREEN);
	assert_int_equal(words.count, 5);
	lite_words_clear(&words);
	lite_words_filter(&words, LITE_PHOTO);
	assert_int_equal(words.count, 0);
}

static void
test_append(void **state)
{
	(void)state;
	static const struct lite_word some[] = {{"a", .9f, {0.f, .5f, 1.f, .5f}, 0}, {"b", .9f, {0}, 1}};
	struct lite_words all = {0}, part = words_of(some, COUNT(some));
	const struct lite_rect rect = {.x = 100, .y = 50, .width = 200, .height = 100};
	assert_int_equal(lite_words_append(&all, &part, &rect, 400, 200), 0);
	assert_null(part.word);
	part = words_of(some, COUNT(some));
	assert_int_equal(lite_words_append(&all, &part, &rect, 400, 200), 0);
	assert_int_equal(all.count, 4);
	assert_int_equal(all.word[2].line, 2);
	assert_true(all.word[0].box[0] == .25f && all.word[0].box[1] == .5f && all.word[0].box[2] == .5f);
	lite_words_clear(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_colors),  cmocka_unit_test(test_kinds),  cmocka_unit_test(test_small),
		cmocka_unit_test(test_regions), cmocka_unit_test(test_resize), cmocka_unit_test(test_words),
		cmocka_unit_test(test_filter),  cmocka_unit_test(test_append),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
