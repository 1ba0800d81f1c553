/* lite_resize.h - RGB pictures to the inputs of networks, and to small copies for measuring. Pure but for scratch
 * memory.
 *
 * Shrinking takes the mean over the area that a pixel covers (OpenCV's INTER_AREA, which MediaPipe uses there too),
 * enlarging is bilinear with pixel centres at one half.
 */
#ifndef ENGINE_LITE_RESIZE_H
#define ENGINE_LITE_RESIZE_H

#include <stddef.h>
#include <stdint.h>

/* A borrowed RGB24 picture, rows `stride` bytes apart. */
struct lite_image {
	const uint8_t *rgb;
	unsigned width, height;
	size_t stride;
};

/* A rectangle of a network's input, in pixels. */
struct lite_rect {
	unsigned x, y, width, height;
};

/* Scales `from` to width x height x 3 bytes at `to`. 0, or SCRY_E_MEMORY. */
int lite_resize(const struct lite_image *from, uint8_t *to, unsigned width, unsigned height);

/* The largest rectangle with the aspect of width x height that fits in the middle of side x side. */
struct lite_rect lite_resize_fit(unsigned width, unsigned height, unsigned side);

/* Fills a network's input, side x side x 3 floats of -1 to 1: the picture scaled into `rect`, black around it.
 * 0, or SCRY_E_MEMORY. */
int lite_resize_input(const struct lite_image *from, float *input, unsigned side, const struct lite_rect *rect);

#endif
