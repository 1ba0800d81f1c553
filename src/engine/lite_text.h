/* lite_text.h - where a picture looks like writing, without reading it. Pure but for scratch memory.
 *
 * The picture is cut into tiles of 16 x 16 pixels, and a copy a quarter as large once more, for letters larger than
 * a tile. In the worker scry-lite and in unit tests.
 */
#ifndef ENGINE_LITE_TEXT_H
#define ENGINE_LITE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/lite_resize.h"

#define LITE_TILE 16
#define LITE_REGIONS_MAX 8

/* ITU-R BT.601 luma of an RGB pixel, 0 to 255. */
unsigned lite_luma(const uint8_t *rgb);

/* Whether a tile has writing: a plain ground that takes much of it, ink clearly apart from the ground, and rows that
 * cross from one to the other many times. Rows are `stride` bytes apart. */
bool lite_tile_has_text(const uint8_t *luma, size_t stride);

/* The share of tiles with writing beside one that has some too; the larger of both sizes. 0, or SCRY_E_MEMORY. */
int lite_text_share(const struct lite_image *image, float *out);

/* Rectangles around groups of such tiles, largest first, with a margin; at most LITE_REGIONS_MAX, and together at
 * most an eighth of the picture: what is full of "writing" without being a page or a screen is a texture. 0, or
 * SCRY_E_MEMORY. */
int lite_text_regions(const struct lite_image *image, struct lite_rect regions[LITE_REGIONS_MAX], size_t *count);

#endif
