/* test_ffmpeg.c - the eye's decoder and encoder without a worker: every picture of tests/data/make-images.
 *
 * argv[1] or $SCRY_TEST_IMAGES is the folder that make-images wrote. Good pictures are compared with Pillow's decoding
 * of them; bad ones must give the error and the sentence of the list; cut ones an error or the whole picture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "eye/child_ffmpeg.h"
#include "eye/child_pixels.h"
#include "scry.h"

#define GUARD 256 /* bytes behind the pixels that nobody may write */
#define ENTRIES 256

struct entry {
	char file[64], reference[64], fragment[96];
	int error;
	double tolerance;
};

static const char *folder;
static struct entry entries[ENTRIES];
static size_t entry_count;

struct image {
	uint8_t *pixels; /* rows of width * 3 */
	uint32_t width, height;
	struct ffmpeg_frame frame;
};

static uint8_t *
load(const char *name, size_t *size)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s is missing", path);
	fseek(file, 0, SEEK_END);
	*size = (size_t)ftell(file);
	rewind(file);
	uint8_t *bytes = calloc(1, *size + EYE_PADDING);
	assert_int_equal(fread(bytes, 1, *size, file), *size);
	fclose(file);
	return bytes;
}

static struct image
load_ppm(const char *name)
{
	size_t size;
	int start = 0;
	struct image image = {0};
	uint8_t *bytes = load(name, &size);
	assert_int_equal(sscanf((char *)bytes, "P6 %u %u 255%n", &image.width, &image.height, &start), 2);
	image.pixels = malloc((size_t)image.width * image.height * 3);
	memcpy(image.pixels, bytes + start + 1, (size_t)image.width * image.height * 3);
	free(bytes);
	return image;
}

/* Decodes a copy of the bytes into a buffer of exactly `capacity` with guards behind it. */
static int
decode(const uint8_t *bytes, size_t size, uint32_t max_width, uint32_t max_height, bool fast, size_t capacity,
       struct image *out, struct why *why)
{
	uint8_t *copy = malloc(size + EYE_PADDING), *pixels = malloc(capacity + GUARD);
	memcpy(copy, bytes, size);
	memset(copy + size, 0, EYE_PADDING);
	memset(pixels + capacity, 0xa5, GUARD);
	struct ffmpeg_wanted wanted = {max_width, max_height, fast, pixels, capacity};
	struct ffmpeg_frame frame;
	why->text[0] = '\0';
	int error = ffmpeg_decode(copy, size, &wanted, &frame, why);
	for (size_t i = 0; i < GUARD; i++)
		assert_int_equal(pixels[capacity + i], 0xa5);
	if (error == SCRY_OK) {
		assert_true(frame.stride >= frame.width * 3 && (uint64_t)frame.stride * frame.height <= capacity);
		*out = (struct image){malloc((size_t)frame.width * frame.height * 3), frame.width, frame.height, frame};
		for (uint32_t y = 0; y < frame.height; y++)
			memcpy(out->pixels + (size_t)y * frame.width * 3, pixels + (size_t)y * frame.stride,
			       (size_t)frame.width * 3);
	} else {
		assert_true(strlen(why->text) > 10);
	}
	free(copy);
	free(pixels);
	return error;
}

static double
difference(const struct image *a, const struct image *b)
{
	if (a->width != b->width || a->height != b->height)
		return 1000;
	uint64_t sum = 0;
	size_t count = (size_t)a->width * a->height * 3;
	for (size_t i = 0; i < count; i++)
		sum += (uint64_t)abs(a->pixels[i] - b->pixels[i]);
	return (double)sum / (double)count;
}

/* One good picture against its reference. Repeated chroma may differ more than interpolated. */
static bool
is_good(const struct entry *entry, bool fast)
{
	struct image image;
	struct why why;
	size_t size;
	uint8_t *bytes = load(entry->file, &size);
	struct image reference = load_ppm(entry->reference);
	size_t capacity = (size_t)reference.width * reference.height * 3;
	int error = decode(bytes, size, 0, 0, fast, capacity, &image, &why);
	double d = error == 0 ? difference(&image, &reference) : 0, allowed = entry->tolerance + (fast ? 3.0 : 0);
	if (entry->tolerance < 1)
		allowed = entry->tolerance; /* no chroma to repeat */
	if (error != 0 || d > allowed)
		print_error("%s: error %d, difference %.2f (allowed %.2f) %s\n", entry->file, error, d, allowed, why.text);
	if (error == 0) {
		assert_int_equal(image.frame.source_width, reference.width);
		assert_int_equal(image.frame.source_height, reference.height);
		free(image.pixels);
	}
	free(reference.pixels);
	free(bytes);
	return error == 0 && d <= allowed;
}

static void
test_good(void **state)
{
	(void)state;
	unsigned failures = 0;
	for (size_t i = 0; i < entry_count; i++)
		if (entries[i].error == 0)
			failures += !is_good(&entries[i], false) + !is_good(&entries[i], true);
	assert_int_equal(failures, 0);
}

static void
test_bad(void **state)
{
	(void)state;
	unsigned failures = 0;
	for (size_t i = 0; i < entry_count; i++) {
		const struct entry *entry = &entries[i];
		struct image image;
		struct why why;
		size_t size;
		if (entry->error == 0)
			continue;
		uint8_t *bytes = load(entry->file, &size);
		uint64_t begin = clock_us();
		int error = decode(bytes, size, 512, 512, true, 512 * 512 * 3, &image, &why);
		uint64_t took = clock_us() - begin;
		free(bytes);
		bool said = strcmp(entry->fragment, "-") == 0 || strstr(why.text, entry->fragment) != NULL;
		if (error == entry->error && said && took < 2000000)
			continue;
		print_error("%s: error %d instead of %d in %u ms: %s\n", entry->file, error, entry->error,
		            (unsigned)(took / 1000), why.text);
		failures++;
		if (error == 0)
			free(image.pixels);
	}
	assert_int_equal(failures, 0);
}

/* A file cut anywhere is refused, or (when only what follows the pixels is missing) gives the picture. */
static void
test_cut(void **state)
{
	(void)state;
	unsigned failures = 0, cuts = 0, whole = 0;
	for (size_t i = 0; i < entry_count; i++) {
		const struct entry *entry = &entries[i];
		struct why why;
		size_t size;
		if (entry->error != 0 || strncmp(entry->file, "waves", 5) == 0 || strncmp(entry->file, "bomb", 4) == 0)
			continue;
		uint8_t *bytes = load(entry->file, &size);
		struct image reference = load_ppm(entry->reference);
		for (size_t n = 0; n < 80; n++) {
			size_t cut = n < 50 ? size * n / 50 : size - (n - 49);
			struct image image;
			if (cut >= size)
				continue;
			int error =
				decode(bytes, cut, 0, 0, false, (size_t)reference.width * reference.height * 3 + 3, &image, &why);
			cuts++;
			whole += error == 0;
			if (error == SCRY_E_INPUT)
				continue;
			double d = error == 0 ? difference(&image, &reference) : 1000;
			if (d > entry->tolerance + 0.5) {
				print_error("%s cut to %zu of %zu: error %d, difference %.2f %s\n", entry->file, cut, size, error, d,
				            why.text);
				failures++;
			}
			if (error == 0)
				free(image.pixels);
		}
		free(reference.pixels);
		free(bytes);
	}
	print_message("# %u cuts, %u of them behind the picture\n", cuts, whole);
	assert_int_equal(failures, 0);
}

/* Scaling keeps to the limits, and the fast ways (reduced-size decoding, repeated chroma) give about the same picture. */
static void
test_scaled(void **state)
{
	(void)state;
	static const uint32_t sizes[][2] = {{640, 640}, {512, 288}, {320, 320}, {319, 200},
	                                    {160, 90},  {100, 720}, {7, 7},     {2000, 2000}};
	static const struct {
		const char *name;
		uint32_t width, height;
		double allowed; /* half a pixel of shift would be 8 or more; halved odd sides are off by that at the far edge */
	} pictures[] = {{"waves.jpg", 1280, 720, 3.0},
	                {"waves-progressive.jpg", 1280, 720, 3.0},
	                {"waves.png", 1280, 720, 0},
	                {"waves-odd.jpg", 1277, 719, 5.5}};
	for (size_t n = 0; n < sizeof(pictures) / sizeof(pictures[0]); n++) {
		size_t size;
		uint8_t *bytes = load(pictures[n].name, &size);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			struct image slow, fast;
			struct why why;
			assert_int_equal(decode(bytes, size, sizes[s][0], sizes[s][1], false, 3 << 20, &slow, &why), 0);
			assert_int_equal(decode(bytes, size, sizes[s][0], sizes[s][1], true, 3 << 20, &fast, &why), 0);
			assert_true(slow.width <= sizes[s][0] && slow.height <= sizes[s][1]);
			assert_true(slow.width == sizes[s][0] || slow.height == sizes[s][1] || sizes[s][0] == 2000);
			assert_int_equal(slow.frame.source_width, pictures[n].width);
			assert_int_equal(slow.frame.source_height, pictures[n].height);
			double d = difference(&slow, &fast);
			print_message("# %s to %ux%u: fast differs by %.2f\n", pictures[n].name, slow.width, slow.height, d);
			assert_true(d <= pictures[n].allowed);
			free(slow.pixels);
			free(fast.pixels);
		}
		free(bytes);
	}
}

/* Every small size: rows that end anywhere, capacities that fit exactly, nothing written behind them. */
static void
test_odd_sizes(void **state)
{
	(void)state;
	size_t size, jpeg_size;
	uint8_t *png = load("rgb.png", &size), *jpeg = load("420.jpg", &jpeg_size);
	for (uint32_t width = 1; width <= 97; width++) {
		struct image image;
		struct why why;
		uint32_t w = 97, h = 65;
		pixels_fit(&w, &h, width, 65, SIZE_MAX);
		assert_int_equal(decode(png, size, width, 65, false, (size_t)w * h * 3, &image, &why), 0);
		assert_true(image.width == w && image.height == h);
		free(image.pixels);
		assert_int_equal(decode(jpeg, jpeg_size, width, 65, true, (size_t)w * h * 3, &image, &why), 0);
		assert_true(image.width == w && image.height == h);
		free(image.pixels);
	}
	free(png);
	free(jpeg);
}

/* JPEG and back: the better the quality the smaller the difference, and the colours stay. */
static void
test_encode(void **state)
{
	(void)state;
	struct image reference = load_ppm("rgb.png.ppm");
	static const unsigned qualities[] = {100, 95, 85, 75, 50, 20, 1};
	double before = -1;
	size_t size_before = SIZE_MAX;
	for (size_t i = 0; i < sizeof(qualities) / sizeof(qualities[0]); i++) {
		uint8_t *bytes = NULL, *padded;
		size_t size = 0;
		struct image image;
		struct why why;
		assert_int_equal(ffmpeg_encode(reference.pixels, reference.width, reference.height, reference.width * 3,
		                               qualities[i], &bytes, &size, &why),
		                 0);
		padded = calloc(1, size + EYE_PADDING);
		memcpy(padded, bytes, size);
		assert_int_equal(decode(padded, size, 0, 0, false, 97 * 65 * 3, &image, &why), 0);
		double d = difference(&image, &reference);
		print_message("# quality %u: %zu bytes, difference %.2f\n", qualities[i], size, d);
		assert_true(d >= before && size < size_before);
		before = d;
		size_before = size;
		/* Halved chroma costs more on this scene than the quantiser; libjpeg: 2.7 at 100, 5.5 at 75. */
		if (qualities[i] >= 75)
			assert_true(d < 6.5);
		free(image.pixels);
		free(padded);
		free(bytes);
	}
	uint8_t *bytes = NULL;
	size_t size;
	struct why why;
	assert_int_equal(ffmpeg_encode(reference.pixels, 65501, 1, 65501 * 3, 80, &bytes, &size, &why), SCRY_E_LIMIT);
	assert_null(bytes);
	free(reference.pixels);
}

static void
test_fit(void **state)
{
	(void)state;
	static const uint32_t rows[][7] = {
		/* picture, limits, capacity in pixels, result */
		{1920, 1080, 512, 512, 1000000, 512, 288},
		{1080, 1920, 512, 512, 1000000, 288, 512},
		{100, 50, 512, 512, 1000000, 100, 50},
		{60000, 1, 512, 512, 1000000, 512, 1},
		{1, 60000, 512, 512, 1000000, 1, 512},
		{1000, 1000, 0, 0, 10000, 100, 100},
		{1920, 1080, 0, 540, 1000000, 960, 540},
		{3, 3, 0, 0, 1, 1, 1},
		{1000000, 60, 0, 0, 10, 10, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t w = rows[i][0], h = rows[i][1];
		pixels_fit(&w, &h, rows[i][2], rows[i][3], (size_t)rows[i][4] * 3);
		assert_int_equal(w, rows[i][5]);
		assert_int_equal(h, rows[i][6]);
	}
}

static void
read_list(void)
{
	char path[512], line[512];
	snprintf(path, sizeof(path), "%s/list", folder);
	FILE *list = fopen(path, "r");
	if (list == NULL) {
		fprintf(stderr, "%s is missing: run tests/data/make-images %s\n", path, folder);
		exit(2);
	}
	while (entry_count < ENTRIES && fgets(line, sizeof(line), list) != NULL) {
		struct entry *entry = &entries[entry_count];
		int hundredths;
		if (sscanf(line, "%63[^\t]\t%d\t%63[^\t]\t%d\t%95[^\n]", entry->file, &entry->error, entry->reference,
		           &hundredths, entry->fragment) == 5) {
			entry->tolerance = hundredths / 100.0;
			entry_count++;
		}
	}
	fclose(list);
}

int
main(int argc, char **argv)
{
	folder = argc > 1 ? argv[1] : getenv("SCRY_TEST_IMAGES");
	if (folder == NULL) {
		fprintf(stderr, "usage: %s FOLDER (made by tests/data/make-images)\n", argv[0]);
		return 2;
	}
	read_list();
	ffmpeg_init(NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fit),    cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),    cmocka_unit_test(test_scaled), cmocka_unit_test(test_odd_sizes),
		cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
