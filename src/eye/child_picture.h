/* child_picture.h - what stands in a picture's file, found out before any decoder sees it.
 *
 * Own parsers, no library: the type (by content, never by name), the size in pixels, which way is up, whether the file
 * is whole, and the coded bytes that a decoder needs and nothing else (texts, profiles, thumbnails, further frames and
 * whatever follows the picture are left out, so that FFmpeg never parses them). Called by child_ffmpeg.c in scry-eye,
 * by tests and by the fuzz harness; the input belongs to the caller and must outlive the struct.
 *
 *     child_picture.c  type, PNG, GIF, BMP    child_jpeg.c  JPEG    child_tiff.c  TIFF and EXIF
 *     child_webp.c     WebP                   child_heif.c  AVIF and HEIC
 */
#ifndef EYE_CHILD_PICTURE_H
#define EYE_CHILD_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

#define EYE_INPUT_MAX ((size_t)64 << 20)    /* bytes of a picture's file */
#define EYE_PIXELS_MAX ((uint64_t)64 << 20) /* pixels of a picture: 64 megapixels */
#define EYE_SIDE_MAX 1000000                /* pixels of one side; the core drops an eye that says more */
#define EYE_TILES_MAX 1024                  /* tiles of a HEIC or AVIF grid */
#define EYE_PADDING 64                      /* zero bytes that follow the input; FFmpeg's bit readers look ahead */

enum picture_kind {
	PICTURE_JPEG = 1,
	PICTURE_PNG,
	PICTURE_WEBP,
	PICTURE_GIF,
	PICTURE_BMP,
	PICTURE_TIFF,
	PICTURE_AV1,  /* AVIF */
	PICTURE_HEVC, /* HEIC */
};

/* One coded picture; `data` is followed by EYE_PADDING bytes that may be read. */
struct picture_tile {
	const uint8_t *data;
	size_t size;
	const uint8_t *config; /* av1C or hvcC for the decoder; NULL: none */
	size_t config_size;
	uint32_t x, y;          /* where it stands in the picture */
	uint32_t width, height; /* of a tile of a grid: at least so large it must be; 0: no matter */
};

struct picture_layer {
	struct picture_tile *tiles; /* owned */
	size_t count;               /* 0: there is no such layer */
};

struct picture {
	enum picture_kind kind;
	const char *name;       /* "jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic" */
	uint32_t width, height; /* before orientation */
	unsigned orientation;   /* EXIF, 1..8 */
	bool unended;           /* JPEG: there was no end mark; only a decoder can tell whether the picture is whole */
	int matrix;             /* colour matrix that the container names (ITU-T H.273); -1: none */
	int full_range;         /* 0, 1; -1: the container does not say */
	struct picture_layer color;
	struct picture_layer alpha; /* AVIF and HEIC: transparency as a picture of its own */
	uint8_t *owned;             /* coded bytes that had to be gathered; NULL: the tiles point into the input */
};

/* Reads bytes[0..size), which is rewritten in place and is followed by EYE_PADDING zero bytes.
 * 0 and *out (for picture_clear()); or SCRY_E_INPUT, SCRY_E_LIMIT, SCRY_E_MEMORY with a sentence. */
int picture_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why);
void picture_clear(struct picture *picture); /* NULL and zeroed structs are legal */

/* --- between the parsers -------------------------------------------------------------------------------- */

/* Sets the size after checking it against EYE_PIXELS_MAX. */
int picture_set_size(struct picture *picture, uint64_t width, uint64_t height, struct why *why);
/* Makes the colour layer one tile. */
int picture_set_data(struct picture *picture, const uint8_t *data, size_t size, struct why *why);
/* "truncated NAME: the file ends after SIZE bytes ..." */
int picture_truncated(const char *name, size_t size, struct why *why);

int jpeg_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why);
int tiff_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why);
int webp_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why);
int heif_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why);
/* The orientation in EXIF data (a TIFF header and its first directory, with or without "Exif\0\0" before it); 1 when
 * there is none or it makes no sense. */
unsigned exif_orientation(const uint8_t *bytes, size_t size);
/* The quantisers of a JPEG in rows, scaled for `quality` (1..100) by libjpeg's rule. */
void jpeg_quantisers(unsigned quality, uint16_t luma[64], uint16_t chroma[64]);

static inline uint32_t
picture_le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t
picture_le32(const uint8_t *p)
{
	return picture_le16(p) | picture_le16(p + 2) << 16;
}

static inline uint32_t
picture_be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static inline uint32_t
picture_be32(const uint8_t *p)
{
	return picture_be16(p) << 16 | picture_be16(p + 2);
}

#endif
