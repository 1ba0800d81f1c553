/* child_tiff.c - the first directory of a TIFF (TIFF 6.0, section 2), which is also what EXIF data is.
 *
 * Runs in scry-eye on untrusted bytes; see child_picture.h. Only numbers of the first directory are read, and FFmpeg gets
 * a directory without the entries that do not make pixels (it refuses a file for an entry that it does not know).
 */
#include "eye/child_picture.h"

#include <string.h>

#include "scry.h"

#define TIFF_ENTRY 12

enum { TIFF_SHORT = 3, TIFF_LONG = 4 };
enum {
	TIFF_WIDTH = 256,
	TIFF_HEIGHT = 257,
	TIFF_COMPRESSION = 259,
	TIFF_ORIENTATION = 274,
	TIFF_TILE_WIDTH = 322,
	TIFF_TILE_OFFSETS = 324,
};

struct tiff {
	const uint8_t *bytes;
	size_t size;
	bool little;
};

struct tiff_directory {
	size_t at, count; /* of its entries */
	uint32_t width, height, orientation, compression;
	bool tiled;
};

static uint32_t
number16(const struct tiff *tiff, size_t at)
{
	return tiff->little ? picture_le16(tiff->bytes + at) : picture_be16(tiff->bytes + at);
}

static uint32_t
number32(const struct tiff *tiff, size_t at)
{
	return tiff->little ? picture_le32(tiff->bytes + at) : picture_be32(tiff->bytes + at);
}

/* Reads the first directory. False when it does not lie within the bytes. */
static bool
read_directory(const struct tiff *tiff, struct tiff_directory *out)
{
	if (tiff->size < 8)
		return false;
	size_t at = number32(tiff, 4);
	if (at > tiff->size || tiff->size - at < 2)
		return false;
	size_t count = number16(tiff, at);
	at += 2;
	if ((tiff->size - at) / TIFF_ENTRY < count)
		return false;
	out->at = at;
	out->count = count;
	for (; count > 0; count--, at += TIFF_ENTRY) {
		uint32_t tag = number16(tiff, at), type = number16(tiff, at + 2);
		uint32_t value = type == TIFF_SHORT ? number16(tiff, at + 8) : number32(tiff, at + 8);
		if (tag == TIFF_TILE_WIDTH || tag == TIFF_TILE_OFFSETS)
			out->tiled = true;
		if (type != TIFF_SHORT && type != TIFF_LONG)
			continue;
		if (tag == TIFF_WIDTH)
			out->width = value;
		else if (tag == TIFF_HEIGHT)
			out->height = value;
		else if (tag == TIFF_COMPRESSION)
			out->compression = value;
		else if (tag == TIFF_ORIENTATION)
			out->orientation = value;
	}
	return true;
}

unsigned
exif_orientation(const uint8_t *bytes, size_t size)
{
	if (size >= 6 && memcmp(bytes, "Exif\0", 5) == 0) {
		bytes += 6;
		size -= 6;
	}
	if (size < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
		return 1;
	struct tiff tiff = {.bytes = bytes, .size = size, .little = bytes[0] == 'I'};
	struct tiff_directory directory = {0};
	if (!read_directory(&tiff, &directory) || directory.orientation < 1 || directory.orientation > 8)
		return 1;
	return directory.orientation;
}

/* Sides, bits, compression, photometric, fill order, strips, samples, rows a strip, planes, fax options, predictor,
 * colour map, chroma subsampling. */
static bool
is_needed(uint32_t tag)
{
	static const uint16_t needed[] = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 530};
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i] == tag)
			return true;
	return false;
}

static void
keep_needed(const struct tiff *tiff, uint8_t *bytes, const struct tiff_directory *directory)
{
	size_t kept = 0;
	for (size_t i = 0; i < directory->count; i++) {
		size_t from = directory->at + i * TIFF_ENTRY;
		if (is_needed(number16(tiff, from)))
			memmove(bytes + directory->at + kept++ * TIFF_ENTRY, bytes + from, TIFF_ENTRY);
	}
	bytes[directory->at - 2] = (uint8_t)(tiff->little ? kept : kept >> 8);
	bytes[directory->at - 1] = (uint8_t)(tiff->little ? kept >> 8 : kept);
}

int
tiff_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	struct tiff tiff = {.bytes = bytes, .size = size, .little = bytes[0] == 'I'};
	struct tiff_directory directory = {0};
	if (!read_directory(&tiff, &directory))
		return picture_truncated("tiff", size, why);
	if (directory.tiled)
		return why_set(why, SCRY_E_INPUT,
		               "this TIFF is stored in tiles, which is not read here; save it in strips, or as "
		               "JPEG or PNG");
	if (directory.compression == 6 || directory.compression == 7)
		return why_set(why, SCRY_E_INPUT,
		               "this TIFF has a JPEG inside, which is not read here; save it as JPEG or PNG");
	if (directory.orientation >= 1 && directory.orientation <= 8)
		out->orientation = directory.orientation;
	int error = picture_set_size(out, directory.width, directory.height, why);
	if (error != SCRY_OK)
		return error;
	keep_needed(&tiff, bytes, &directory);
	return picture_set_data(out, bytes, size, why);
}
