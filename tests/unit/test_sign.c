/* test_sign.c - the luma signature against plain definitions of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/sign.h"

static void
fill(uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride, uint8_t r, uint8_t g, uint8_t b)
{
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint8_t *pixel = pixels + (size_t)y * stride + (size_t)x * 3;
			pixel[0] = r;
			pixel[1] = g;
			pixel[2] = b;
		}
	}
}

/* Black, white and the primaries have the luma that BT.601 says. */
static void
test_plain(void **state)
{
	(void)state;
	static const struct {
		uint8_t r, g, b, luma;
	} colors[] = {{0, 0, 0, 0}, {255, 255, 255, 255}, {255, 0, 0, 77}, {0, 255, 0, 149}, {0, 0, 255, 29}};
	uint8_t *pixels = malloc(200 * 100 * 3);
	uint8_t out[SIGN_BYTES];
	for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++) {
		fill(pixels, 200, 100, 600, colors[i].r, colors[i].g, colors[i].b);
		gate_sign(pixels, 200, 100, 600, out);
		for (size_t n = 0; n < SIGN_BYTES; n++)
			assert_in_range(out[n], colors[i].luma > 0 ? colors[i].luma - 1 : 0, colors[i].luma);
	}
	free(pixels);
}

/* Against the definition in floating point, on noise, for sizes that divide and sizes that do not. */
static void
test_boxes(void **state)
{
	(void)state;
	static const uint32_t sizes[][2] = {{64, 36}, {128, 72}, {512, 288}, {641, 361}, {65, 37}, {1920, 40}, {70, 999}};
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint32_t width = sizes[s][0], height = sizes[s][1], stride = width * 3 + 17;
		uint8_t *pixels = malloc((size_t)stride * height), out[SIGN_BYTES];
		uint32_t seed = 1;
		for (size_t i = 0; i < (size_t)stride * height; i++)
			pixels[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		gate_sign(pixels, width, height, stride, out);
		for (uint32_t cell = 0; cell < SIGN_BYTES; cell++) {
			uint32_t x0 = cell % SIGN_WIDTH * width / SIGN_WIDTH, x1 = (cell % SIGN_WIDTH + 1) * width / SIGN_WIDTH;
			uint32_t y0 = cell / SIGN_WIDTH * height / SIGN_HEIGHT, y1 = (cell / SIGN_WIDTH + 1) * height / SIGN_HEIGHT;
			double sum = 0;
			for (uint32_t y = y0; y < y1; y++) {
				for (uint32_t x = x0; x < x1; x++) {
					const uint8_t *p = pixels + (size_t)y * stride + (size_t)x * 3;
					sum += 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
				}
			}
			double difference = out[cell] - sum / ((x1 - x0) * (y1 - y0));
			assert_true(difference > -1.2 && difference < 1.2);
		}
		free(pixels);
	}
}

/* Frames smaller than the signature, down to one pixel. */
static void
test_small(void **state)
{
	(void)state;
	for (uint32_t width = 1; width < 70; width += 3) {
		for (uint32_t height = 1; height < 40; height += 3) {
			uint8_t *pixels = malloc((size_t)width * 3 * height), out[SIGN_BYTES];
			fill(pixels, width, height, width * 3, 200, 200, 200);
			pixels[0] = pixels[1] = pixels[2] = 10;
			gate_sign(pixels, width, height, width * 3, out);
			assert_in_range(out[0], 10, 200);
			assert_int_equal(out[SIGN_BYTES - 1], width * height == 1 ? 10 : 200);
			free(pixels);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_boxes),
		cmocka_unit_test(test_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
