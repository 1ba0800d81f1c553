/* child_picture.c - the type of a picture by its first bytes, and the three formats that need little: PNG, GIF, BMP.
 *
 * Runs in scry-eye on untrusted bytes; see child_picture.h. Every length is compared with what is left before it is
 * used, and no size is taken from the file for an allocation.
 */
#include "eye/child_picture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scry.h"

void
picture_clear(struct picture *picture)
{
	if (picture == NULL)
		return;
	free(picture->color.tiles);
	free(picture->alpha.tiles);
	free(picture->owned);
	*picture = (struct picture){0};
}

int
picture_set_size(struct picture *picture, uint64_t width, uint64_t height, struct why *why)
{
	if (width == 0 || height == 0)
		return why_set(why, SCRY_E_INPUT, "the %s says it is %llux%llu pixels, which is no picture", picture->name,
		               (unsigned long long)width, (unsigned long long)height);
	if (width > EYE_PIXELS_MAX || height > EYE_PIXELS_MAX || width * height > EYE_PIXELS_MAX)
		return why_set(why, SCRY_E_LIMIT, "%llux%llu pixels are over the limit of %llu megapixels; scale it down first",
		               (unsigned long long)width, (unsigned long long)height,
		               (unsigned long long)(EYE_PIXELS_MAX >> 20));
	if (width > EYE_SIDE_MAX || height > EYE_SIDE_MAX)
		return why_set(why, SCRY_E_LIMIT, "%llux%llu pixels: a side over the limit of %d; cut it into parts first",
		               (unsigned long long)width, (unsigned long long)height, EYE_SIDE_MAX);
	picture->width = (uint32_t)width;
	picture->height = (uint32_t)height;
	return SCRY_OK;
}

int
picture_set_data(struct picture *picture, const uint8_t *data, size_t size, struct why *why)
{
	picture->color.tiles = calloc(1, sizeof(*picture->color.tiles));
	if (picture->color.tiles == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	picture->color.count = 1;
	picture->color.tiles[0].data = data;
	picture->color.tiles[0].size = size;
	return SCRY_OK;
}

int
picture_truncated(const char *name, size_t size, struct why *why)
{
	return why_set(
		why, SCRY_E_INPUT,
		"truncated %s: the file ends after %zu bytes, before the picture is complete; fetch or save it again", name,
		size);
}

/* --- PNG: ISO/IEC 15948 ----------------------------------------------------------------------------------- */

#define PNG_SIGNATURE 8
#define PNG_CHUNK 12 /* length, type and checksum of a chunk */

/* The chunks that make the pixels. Texts, profiles and times only feed parsers (and inflate without a limit). */
static bool
png_is_needed(const uint8_t *type)
{
	static const char *const needed[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (memcmp(type, needed[i], 4) == 0)
			return true;
	return false;
}

/* The most bytes that deflate makes of the picture's rows, generously: a stored block adds 5 bytes to 64 KiB, interlaced
 * rows are filtered in up to seven parts. More is not pixels but a bomb: it would be inflated all the same. */
static uint64_t
png_data_max(const uint8_t *header, const struct picture *picture)
{
	static const unsigned char channels[7] = {1, 1, 3, 1, 2, 1, 4}; /* by colour type */
	unsigned color = header[9] < 7 ? header[9] : 6;
	uint64_t row = ((uint64_t)picture->width * channels[color] * header[8] + 7) / 8 + 1;
	uint64_t raw = row * picture->height;
	return raw + raw / 8 + 8 * ((uint64_t)picture->width + picture->height) + 65536;
}

static int
png_header(const uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	if (size < PNG_SIGNATURE + PNG_CHUNK + 13)
		return picture_truncated("png", size, why);
	if (memcmp(bytes + 12, "CgBI", 4) == 0)
		return why_set(why, SCRY_E_INPUT, "this PNG is in Apple's own variant (CgBI); save it as a normal PNG");
	if (picture_be32(bytes + 8) != 13 || memcmp(bytes + 12, "IHDR", 4) != 0)
		return why_set(why, SCRY_E_INPUT, "damaged png: it does not begin with its header");
	return picture_set_size(out, picture_be32(bytes + 16), picture_be32(bytes + 20), why);
}

static int
png_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	int error = png_header(bytes, size, out, why);
	if (error != SCRY_OK)
		return error;
	uint64_t data_left = png_data_max(bytes + 16, out);
	size_t end = PNG_SIGNATURE; /* of what is kept */
	bool has_data = false, ended = false;
	for (size_t at = PNG_SIGNATURE; !ended && size - at >= PNG_CHUNK;) {
		size_t length = picture_be32(bytes + at);
		const uint8_t *type = bytes + at + 4;
		if (length > size - at - PNG_CHUNK) {
			if ((png_is_needed(type) && memcmp(type, "IEND", 4) != 0) || memcmp(type, "eXIf", 4) == 0)
				return picture_truncated("png", size, why);
			break; /* cut in what nobody needs; the decoder counts the rows */
		}
		if (memcmp(type, "eXIf", 4) == 0)
			out->orientation = exif_orientation(bytes + at + 8, length);
		if (memcmp(type, "IDAT", 4) == 0) {
			if (length > data_left)
				return why_set(why, SCRY_E_LIMIT,
				               "this PNG holds far more data than its %ux%u pixels can be; save it again", out->width,
				               out->height);
			data_left -= length;
			has_data = true;
		}
		ended = memcmp(type, "IEND", 4) == 0;
		if (png_is_needed(type)) {
			memmove(bytes + end, bytes + at, length + PNG_CHUNK);
			end += length + PNG_CHUNK;
		}
		at += length + PNG_CHUNK;
	}
	if (!has_data)
		return picture_truncated("png", size, why);
	out->unended = !ended;
	return picture_set_data(out, bytes, end, why);
}

/* --- GIF: GIF89a specification ---------------------------------------------------------------------------- */

/* Bytes of the colour table that `flags` announces. */
static size_t
gif_table(unsigned flags)
{
	return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* The end of the chain of sub-blocks that begins at `at`; 0 when the file ends before it does. */
static size_t
gif_blocks(const uint8_t *bytes, size_t size, size_t at)
{
	while (at < size) {
		size_t length = bytes[at++];
		if (length == 0)
			return at;
		if (length > size - at)
			return 0;
		at += length;
	}
	return 0;
}

/* Only the first picture is handed on, so that a GIF of 20,000 frames costs as much as one. */
static int
gif_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	if (size < 13)
		return picture_truncated("gif", size, why);
	int error = picture_set_size(out, picture_le16(bytes + 6), picture_le16(bytes + 8), why);
	if (error != SCRY_OK)
		return error;
	size_t at = 13 + gif_table(bytes[10]);
	while (at < size) {
		unsigned block = bytes[at];
		if (block == 0x21) { /* extension: introducer, label, sub-blocks */
			at = gif_blocks(bytes, size, at + 2);
			if (at == 0)
				break;
		} else if (block == 0x2c) { /* image: separator, 9 bytes, colour table, code size, sub-blocks */
			if (size - at < 10)
				break;
			at = gif_blocks(bytes, size, at + 10 + gif_table(bytes[at + 9]) + 1);
			if (at == 0)
				break;
			return picture_set_data(out, bytes, at, why);
		} else if (block == 0x3b) {
			return why_set(why, SCRY_E_INPUT, "the GIF has no picture in it");
		} else {
			return why_set(why, SCRY_E_INPUT, "damaged gif: byte %zu is 0x%02x, which begins no block", at, block);
		}
	}
	return picture_truncated("gif", size, why);
}

/* --- BMP: BITMAPINFOHEADER and its relatives -------------------------------------------------------------- */

enum { BMP_RLE8 = 1, BMP_RLE4 = 2 };

static int
bmp_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	if (size < 26)
		return picture_truncated("bmp", size, why);
	uint32_t file_size = picture_le32(bytes + 2), pixels = picture_le32(bytes + 10);
	uint32_t header = picture_le32(bytes + 14), compression = 0;
	uint64_t width, height, bits;
	if (header == 12) {
		width = picture_le16(bytes + 18);
		height = picture_le16(bytes + 20);
		bits = picture_le16(bytes + 24);
	} else {
		if (size < 14 + 40)
			return picture_truncated("bmp", size, why);
		uint32_t signed_height = picture_le32(bytes + 22);
		width = picture_le32(bytes + 18);
		/* Negative: the rows go from the top down. */
		height = signed_height & 0x80000000u ? UINT64_C(0x100000000) - signed_height : signed_height;
		bits = picture_le16(bytes + 28);
		compression = picture_le32(bytes + 30);
	}
	int error = picture_set_size(out, width, height, why);
	if (error != SCRY_OK)
		return error;
	if (width * bits > UINT32_MAX)
		return why_set(why, SCRY_E_INPUT, "damaged bmp: %llu bits a pixel", (unsigned long long)bits);
	bool runs = compression == BMP_RLE8 || compression == BMP_RLE4;
	uint64_t line = (width * bits + 7) / 8, padded = (line + 3) & ~(uint64_t)3;
	uint64_t wanted = pixels + padded * (height - 1) + line; /* the last row may do without its padding */
	/* Some writers pad no row, and say so by the size of the file. For run lengths only that tells whether it is whole. */
	if (runs || (file_size <= size && size < wanted))
		wanted = runs ? file_size : pixels + line * height;
	if (size < wanted)
		return why_set(why, SCRY_E_INPUT,
		               "truncated bmp: the file ends after %zu of its %llu bytes; fetch or save it again", size,
		               (unsigned long long)wanted);
	/* FFmpeg wants the padding of the last row; ours follows the input. */
	if (!runs && size < pixels + padded * height && size >= pixels + padded * (height - 1) + line)
		size = (size_t)(pixels + padded * height);
	return picture_set_data(out, bytes, size, why);
}

/* --- which one is it -------------------------------------------------------------------------------------- */

typedef int (*picture_read_fn)(uint8_t *bytes, size_t size, struct picture *out, struct why *why);

/* Begins-with table. `read` NULL: known, and not read here. */
static const struct {
	const char *name, *magic;
	size_t offset, length;
	enum picture_kind kind;
	picture_read_fn read;
} types[] = {
	{"jpeg", "\xff\xd8\xff", 0, 3, PICTURE_JPEG, jpeg_read},
	{"png", "\x89PNG\r\n\x1a\n", 0, 8, PICTURE_PNG, png_read},
	{"webp", "WEBP", 8, 4, PICTURE_WEBP, webp_read},
	{"gif", "GIF87a", 0, 6, PICTURE_GIF, gif_read},
	{"gif", "GIF89a", 0, 6, PICTURE_GIF, gif_read},
	{"tiff", "II*\0", 0, 4, PICTURE_TIFF, tiff_read},
	{"tiff", "MM\0*", 0, 4, PICTURE_TIFF, tiff_read},
	{"BigTIFF", "II+\0", 0, 4, 0, NULL},
	{"BigTIFF", "MM\0+", 0, 4, 0, NULL},
	{"heif", "ftyp", 4, 4, PICTURE_HEVC, heif_read}, /* child_heif.c says which */
	{"JPEG XL", "\xff\x0a", 0, 2, 0, NULL},
	{"JPEG XL", "\0\0\0\x0cJXL ", 0, 8, 0, NULL},
	{"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8, 0, NULL},
	{"JPEG 2000", "\xff\x4f\xff\x51", 0, 4, 0, NULL},
	{"SVG", "<svg", 0, 4, 0, NULL},
	{"XML", "<?xml", 0, 5, 0, NULL},
	{"PDF", "%PDF", 0, 4, 0, NULL},
	{"Photoshop", "8BPS", 0, 4, 0, NULL},
	{"icon (ICO)", "\0\0\1\0", 0, 4, 0, NULL},
	{"Matroska or WebM video", "\x1a\x45\xdf\xa3", 0, 4, 0, NULL},
	{"bmp", "BM", 0, 2, PICTURE_BMP, bmp_read}, /* the shortest last */
};

/* "not a picture of a known type (it starts with ...)", in a form that a person recognises. */
static int
refuse_unknown(const uint8_t *bytes, size_t size, struct why *why)
{
	char start[64] = "";
	size_t count = size < 8 ? size : 8, printable = 0;
	for (size_t i = 0; i < count; i++)
		printable += bytes[i] >= 0x20 && bytes[i] < 0x7f;
	if (printable == count)
		snprintf(start, sizeof(start), "\"%.*s\"", (int)count, (const char *)bytes);
	else
		for (size_t i = 0; i < count; i++)
			snprintf(start + 3 * i, sizeof(start) - 3 * i, i + 1 < count ? "%02x " : "%02x", bytes[i]);
	return why_set(why, SCRY_E_INPUT,
	               "not a picture of a known type (it starts with %s); JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC "
	               "are read",
	               start);
}

int
picture_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	if (size == 0)
		return why_set(why, SCRY_E_INPUT, "empty: there are 0 bytes of picture");
	if (size > EYE_INPUT_MAX)
		return why_set(why, SCRY_E_LIMIT,
		               "%zu bytes are over the limit of %zu MiB for a picture; make it smaller first", size,
		               EYE_INPUT_MAX >> 20);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (size < types[i].offset + types[i].length ||
		    memcmp(bytes + types[i].offset, types[i].magic, types[i].length) != 0)
			continue;
		if (types[i].read == NULL)
			return why_set(why, SCRY_E_INPUT,
			               "this is a file of type %s, which is not read here; save it as JPEG or PNG", types[i].name);
		struct picture picture = {.kind = types[i].kind, .name = types[i].name, .orientation = 1};
		picture.matrix = picture.full_range = -1;
		int error = types[i].read(bytes, size, &picture, why);
		if (error != SCRY_OK) {
			picture_clear(&picture);
			return error;
		}
		assert(picture.color.count > 0);
		*out = picture;
		return SCRY_OK;
	}
	return refuse_unknown(bytes, size, why);
}
