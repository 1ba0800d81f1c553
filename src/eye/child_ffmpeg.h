/* child_ffmpeg.h - pictures to pixels and back, by FFmpeg: bytes in, bytes out.
 *
 * Used by child_main.c in scry-eye, by tests and by the fuzz harness; single-threaded, blocking, no socket, no file, no
 * state between calls but FFmpeg's tables. libavcodec and libswscale alone: the containers are read by the parsers of
 * child_picture.h, so neither a demuxer nor a protocol is ever linked to untrusted bytes.
 */
#ifndef EYE_CHILD_FFMPEG_H
#define EYE_CHILD_FFMPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "eye/child_picture.h"
#include "wire/proto.h"

/* FFmpeg's own words, one line each, for whoever debugs; the first few of a picture only. */
typedef void (*ffmpeg_log_fn)(const char *line);

/* To be called once, before the other functions. `log` may be NULL. */
void ffmpeg_init(ffmpeg_log_fn log);

/* What is wanted: RGB24 in `pixels`, the caller's, `capacity` bytes >= 3. */
struct ffmpeg_wanted {
	uint32_t max_width,
		max_height; /* of the result, which is scaled down with its aspect kept, never up; 0: no limit */
	bool fast;      /* reduced-size JPEG decoding where the wanted size allows it; chroma repeated at the same size */
	uint8_t *pixels;
	size_t capacity;
};

struct ffmpeg_frame {
	uint32_t width, height;               /* of the result, upright */
	uint32_t stride;                      /* bytes from row to row; a multiple of 64 where the capacity allows it */
	uint32_t source_width, source_height; /* of the picture, upright, before scaling */
	char format[PROTO_NAME];              /* "jpeg", "png", ... */
};

/* Decodes the picture in bytes[0..size), which is rewritten on the way and must be followed by EYE_PADDING zero bytes.
 * Colour pictures and grey ones, 1 to 16 bits, palettes, CMYK as FFmpeg can; transparency is laid over white; the first
 * frame of an animation. Colour profiles and HDR curves are not applied: what is said of a picture does not hang on them.
 * 0; SCRY_E_INPUT (not a picture, damaged, truncated), SCRY_E_LIMIT (too large), SCRY_E_MEMORY, with a sentence. */
int ffmpeg_decode(uint8_t *bytes, size_t size, const struct ffmpeg_wanted *wanted, struct ffmpeg_frame *out,
                  struct why *why);

/* Encodes RGB24 pixels as JPEG (4:2:0, full range) with the quantisers that libjpeg has for `quality`, 1..100.
 * 0 and *out, to be freed; SCRY_E_LIMIT, SCRY_E_MEMORY, with a sentence. Sides are 1..65500. */
int ffmpeg_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride, unsigned quality,
                  uint8_t **out, size_t *out_size, struct why *why);

#endif
