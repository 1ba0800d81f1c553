/* child_pixels.h - what the eye does to pixels without any library: fit, turn, lay over white.
 *
 * Pure functions on the caller's memory; called by child_ffmpeg.c in scry-eye, by tests and by the fuzz harness.
 */
#ifndef EYE_CHILD_PIXELS_H
#define EYE_CHILD_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/* The size that width x height is scaled to: aspect kept, never larger, within max_width x max_height (0: no limit
 * on that side) and such that width * height * 3 <= capacity. Both sides stay >= 1, so that a line of 1 pixel is still
 * a line. Sizes are 1..2^31; capacity >= 3. */
void pixels_fit(uint32_t *width, uint32_t *height, uint32_t max_width, uint32_t max_height, size_t capacity);

/* How often width x height may be halved, `most` times at most, and still be as large as what is wanted. */
int pixels_halvings(uint32_t width, uint32_t height, uint32_t wanted_width, uint32_t wanted_height, int most);

/* Copies RGB24 pixels turned as the EXIF orientation 1..8 says (TIFF 6.0, page 36): `to` shows the picture upright.
 * width x height is the size of `from`; for 5..8 `to` is height x width. The two do not overlap. */
void pixels_turn(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, uint32_t width,
                 uint32_t height, unsigned orientation);

/* Lays 8-bit pixels of 4 bytes over white, in place; `alpha` (0 or 3) is the byte of a pixel that holds its alpha, which
 * becomes 255. White, because what has transparency was mostly made for a page: dark lines and letters (diagrams,
 * logos, screenshots) that black would swallow. */
void pixels_over_white(uint8_t *pixels, size_t stride, uint32_t width, uint32_t height, unsigned alpha);

#endif
