/* sign.c - the luma signature of a frame; see sign.h. Runs in the eye's process, and in tests. */
#include "gate/sign.h"

#include <assert.h>

/* The box of cell `i` of `cells` along a side of `size` pixels: [begin, end), never empty. */
static uint32_t
box_begin(uint32_t i, uint32_t cells, uint32_t size)
{
	return (uint32_t)((uint64_t)i * size / cells);
}

static uint32_t
box_end(uint32_t i, uint32_t cells, uint32_t size)
{
	uint32_t begin = box_begin(i, cells, size);
	uint32_t end = box_begin(i + 1, cells, size);
	return end > begin ? end : begin + 1;
}

/* Adds the pixels of one row's box, channel by channel: the weights are applied once a box, not once a pixel. */
static void
add_row(const uint8_t *pixel, uint32_t count, uint64_t sum[3])
{
	uint32_t red = 0, green = 0, blue = 0;
	for (uint32_t i = 0; i < count; i++, pixel += 3) {
		red += pixel[0];
		green += pixel[1];
		blue += pixel[2];
	}
	sum[0] += red;
	sum[1] += green;
	sum[2] += blue;
}

void
gate_sign(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride, uint8_t out[SIGN_BYTES])
{
	assert(width > 0 && height > 0 && stride >= 3 * (uint64_t)width);
	for (uint32_t row = 0; row < SIGN_HEIGHT; row++) {
		uint64_t sums[SIGN_WIDTH][3] = {{0}};
		uint32_t top = box_begin(row, SIGN_HEIGHT, height);
		uint32_t bottom = box_end(row, SIGN_HEIGHT, height);
		for (uint32_t y = top; y < bottom; y++) {
			const uint8_t *line = pixels + (size_t)y * stride;
			for (uint32_t column = 0; column < SIGN_WIDTH; column++) {
				uint32_t left = box_begin(column, SIGN_WIDTH, width);
				add_row(line + (size_t)left * 3, box_end(column, SIGN_WIDTH, width) - left, sums[column]);
			}
		}
		for (uint32_t column = 0; column < SIGN_WIDTH; column++) {
			uint64_t count =
				(uint64_t)(bottom - top) * (box_end(column, SIGN_WIDTH, width) - box_begin(column, SIGN_WIDTH, width));
			/* 77 + 150 + 29 = 256: the BT.601 weights (JFIF, ITU-T T.871 section 7) in 1/256. */
			uint64_t luma = 77 * sums[column][0] + 150 * sums[column][1] + 29 * sums[column][2];
			out[row * SIGN_WIDTH + column] = (uint8_t)((luma + 128 * count) / (256 * count));
		}
	}
}
