/* child_pixels.c - fit, turn, lay over white; see child_pixels.h. */
#include "eye/child_pixels.h"

#include <assert.h>
#include <string.h>

/* size * to / from, rounded, at least 1. */
static uint32_t
scaled(uint32_t size, uint32_t to, uint32_t from)
{
	uint64_t value = ((uint64_t)size * to + from / 2) / from;
	return value > 0 ? (uint32_t)value : 1;
}

void
pixels_fit(uint32_t *width, uint32_t *height, uint32_t max_width, uint32_t max_height, size_t capacity)
{
	uint32_t w = *width, h = *height;
	assert(w > 0 && h > 0 && capacity >= 3);
	if (max_width > 0 && w > max_width) {
		h = scaled(h, max_width, w);
		w = max_width;
	}
	if (max_height > 0 && h > max_height) {
		/* From the original sides: rounding twice would bend the aspect of small results. */
		w = scaled(*width, max_height, *height);
		h = max_height;
		if (max_width > 0 && w > max_width)
			w = max_width;
	}
	if ((uint64_t)w * h * 3 > capacity) {
		/* The widest w with w * (w * H / W) * 3 <= capacity, by bisection: exact, and no library for a root. */
		uint32_t low = 1, high = w;
		while (low < high) {
			uint32_t middle = low + (high - low + 1) / 2;
			if ((uint64_t)middle * scaled(*height, middle, *width) * 3 <= capacity)
				low = middle;
			else
				high = middle - 1;
		}
		w = low;
		h = scaled(*height, w, *width);
		if ((uint64_t)w * h * 3 > capacity)
			h = (uint32_t)(capacity / 3 / w);
	}
	*width = w;
	*height = h;
}

int
pixels_halvings(uint32_t width, uint32_t height, uint32_t wanted_width, uint32_t wanted_height, int most)
{
	int count = 0;
	while (count < most && width >> (count + 1) >= wanted_width && height >> (count + 1) >= wanted_height)
		count++;
	return count;
}

void
pixels_turn(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, uint32_t width, uint32_t height,
            unsigned orientation)
{
	/* Per orientation: does x of the source run along y of the picture, and is each source axis reversed? */
	static const struct {
		unsigned char transposed, right_to_left, bottom_up;
	} turns[9] = {{0, 0, 0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}};
	assert(orientation <= 8);
	size_t out_width = turns[orientation].transposed ? height : width;
	size_t out_height = turns[orientation].transposed ? width : height;
	for (size_t y = 0; y < out_height; y++) {
		uint8_t *pixel = to + y * to_stride;
		for (size_t x = 0; x < out_width; x++, pixel += 3) {
			size_t source_x = turns[orientation].transposed ? y : x;
			size_t source_y = turns[orientation].transposed ? x : y;
			if (turns[orientation].right_to_left)
				source_x = width - 1 - source_x;
			if (turns[orientation].bottom_up)
				source_y = height - 1 - source_y;
			memcpy(pixel, from + source_y * from_stride + source_x * 3, 3);
		}
	}
}

void
pixels_over_white(uint8_t *pixels, size_t stride, uint32_t width, uint32_t height, unsigned alpha)
{
	unsigned first = alpha == 0 ? 1 : 0;
	for (uint32_t y = 0; y < height; y++) {
		uint8_t *pixel = pixels + y * stride;
		for (uint32_t x = 0; x < width; x++, pixel += 4) {
			unsigned a = pixel[alpha];
			if (a == 255)
				continue;
			if (a == 0) {
				memset(pixel, 255, 4);
				continue;
			}
			for (unsigned c = first; c < first + 3; c++)
				pixel[c] = (uint8_t)((pixel[c] * a + 255 * (255 - a) + 127) / 255);
			pixel[alpha] = 255;
		}
	}
}
