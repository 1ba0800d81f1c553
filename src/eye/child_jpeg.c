/* child_jpeg.c - the segments of a JPEG (ITU-T T.81, annex B): size, orientation, whether it is whole.
 *
 * Runs in scry-eye on untrusted bytes; see child_picture.h. FFmpeg paints what a truncated JPEG lacks grey and calls it
 * a success, so completeness is judged here: a picture is whole when its end mark stands where the segments lead.
 */
#include "eye/child_picture.h"

#include <string.h>

#include "scry.h"

/* Progressive files repeat the whole picture in each scan: work is pixels times scans, and this many is far beyond any
 * camera's or editor's (10 scans of 64 megapixels are 640). A few bytes a scan would otherwise buy minutes. */
#define JPEG_WORK_MAX ((uint64_t)64 * EYE_PIXELS_MAX)

/* A file whose end mark is missing and whose last bytes are all zero was allocated and never written to its end. */
#define JPEG_TAIL 16

enum {
	JPEG_SOF0 = 0xc0,
	JPEG_SOF2 = 0xc2,
	JPEG_DHT = 0xc4,
	JPEG_JPG = 0xc8,
	JPEG_DAC = 0xcc,
	JPEG_SOF15 = 0xcf,
	JPEG_RST0 = 0xd0,
	JPEG_RST7 = 0xd7,
	JPEG_SOI = 0xd8,
	JPEG_EOI = 0xd9,
	JPEG_SOS = 0xda,
	JPEG_DQT = 0xdb,
	JPEG_DRI = 0xdd,
	JPEG_APP1 = 0xe1,
	JPEG_APP14 = 0xee,
	JPEG_SOF55 = 0xf7, /* JPEG-LS */
	JPEG_TEM = 0x01,
};

struct jpeg {
	uint8_t *bytes;
	size_t size;
	size_t at;           /* next byte to be read */
	size_t end;          /* of what is kept, <= at */
	unsigned frame;      /* marker of the frame header, 0: none yet */
	unsigned components; /* of the frame */
	unsigned scans;
	unsigned first_scan; /* components of the first scan */
};

static bool
is_frame(unsigned marker)
{
	return (marker >= JPEG_SOF0 && marker <= JPEG_SOF15 && marker != JPEG_DHT && marker != JPEG_JPG &&
	        marker != JPEG_DAC) ||
		marker == JPEG_SOF55;
}

/* What the decoder needs. Adobe's segment says how the colours are meant; all others (thumbnails, profiles, comments
 * that switch FFmpeg into the quirks of old video boards) stay out. */
static bool
is_needed(unsigned marker)
{
	return marker == JPEG_DHT || marker == JPEG_DQT || marker == JPEG_DRI || marker == JPEG_SOS ||
		marker == JPEG_APP14 || is_frame(marker);
}

static void
keep(struct jpeg *jpeg, size_t from, size_t size)
{
	memmove(jpeg->bytes + jpeg->end, jpeg->bytes + from, size);
	jpeg->end += size;
}

/* The next marker, past any fill; -1 at the end of the file. */
static int
next_marker(struct jpeg *jpeg)
{
	while (jpeg->at < jpeg->size) {
		if (jpeg->bytes[jpeg->at++] != 0xff)
			continue;
		while (jpeg->at < jpeg->size && jpeg->bytes[jpeg->at] == 0xff)
			jpeg->at++;
		if (jpeg->at < jpeg->size && jpeg->bytes[jpeg->at] != 0)
			return jpeg->bytes[jpeg->at++];
	}
	return -1;
}

/* Keeps entropy-coded data up to the next marker that is not a restart. */
static void
keep_scan(struct jpeg *jpeg)
{
	size_t from = jpeg->at;
	for (;;) {
		uint8_t *found = memchr(jpeg->bytes + jpeg->at, 0xff, jpeg->size - jpeg->at);
		size_t at = found != NULL ? (size_t)(found - jpeg->bytes) : jpeg->size;
		if (jpeg->size - at < 2) {
			jpeg->at = jpeg->size;
			break;
		}
		unsigned next = jpeg->bytes[at + 1];
		if (next != 0 && next != 0xff && !(next >= JPEG_RST0 && next <= JPEG_RST7)) {
			jpeg->at = at;
			break;
		}
		jpeg->at = at + (next == 0xff ? 1 : 2);
	}
	keep(jpeg, from, jpeg->at - from);
}

static int
read_frame(struct jpeg *jpeg, unsigned marker, const uint8_t *body, size_t length, struct picture *out, struct why *why)
{
	if (marker > JPEG_SOF2)
		return why_set(why, SCRY_E_INPUT,
		               "this JPEG is of a rare kind (%s), which is not read here; save it as a normal "
		               "JPEG or PNG",
		               marker == JPEG_SOF55 ? "JPEG-LS" :
		                   marker >= 0xc9   ? "arithmetic coding" :
		                   marker == 0xc3   ? "lossless" :
		                                      "hierarchical");
	if (jpeg->frame != 0)
		return why_set(why, SCRY_E_INPUT, "damaged jpeg: a second picture begins inside the first");
	if (length < 6)
		return why_set(why, SCRY_E_INPUT, "damaged jpeg: its header is too short");
	jpeg->frame = marker;
	jpeg->components = body[5];
	return picture_set_size(out, picture_be16(body + 3), picture_be16(body + 1), why);
}

static int
read_scan(struct jpeg *jpeg, const uint8_t *body, size_t length, const struct picture *picture, struct why *why)
{
	if (jpeg->frame == 0 || length < 1)
		return why_set(why, SCRY_E_INPUT, "damaged jpeg: its data begins before its header");
	if (jpeg->scans++ == 0)
		jpeg->first_scan = body[0];
	if ((uint64_t)picture->width * picture->height * jpeg->scans > JPEG_WORK_MAX)
		return why_set(why, SCRY_E_LIMIT,
		               "this JPEG paints its %ux%u pixels more than %u times over, which no camera does; "
		               "save it again",
		               picture->width, picture->height, jpeg->scans - 1);
	return SCRY_OK;
}

/* One segment with a length, marker read. 1: the file ends inside it. */
static int
read_segment(struct jpeg *jpeg, unsigned marker, struct picture *out, struct why *why)
{
	if (jpeg->size - jpeg->at < 2)
		return 1;
	size_t start = jpeg->at - 2, length = picture_be16(jpeg->bytes + jpeg->at);
	if (length < 2)
		return why_set(why, SCRY_E_INPUT, "damaged jpeg: the segment at byte %zu has no room for its own length",
		               start);
	if (length > jpeg->size - jpeg->at)
		return 1;
	const uint8_t *body = jpeg->bytes + jpeg->at + 2;
	int error = SCRY_OK;
	if (is_frame(marker))
		error = read_frame(jpeg, marker, body, length - 2, out, why);
	else if (marker == JPEG_SOS)
		error = read_scan(jpeg, body, length - 2, out, why);
	else if (marker == JPEG_APP1 && length >= 8 && memcmp(body, "Exif\0", 5) == 0)
		out->orientation = exif_orientation(body, length - 2);
	if (error != SCRY_OK)
		return error;
	jpeg->at += length;
	if (is_needed(marker))
		keep(jpeg, start, length + 2);
	if (marker == JPEG_SOS)
		keep_scan(jpeg);
	return SCRY_OK;
}

/* There was no end mark. Some cameras leave it out: one scan of everything may still be whole, and the decoder says
 * whether its data sufficed. What is made of several scans cannot be judged that way. */
static int
read_unended(struct jpeg *jpeg, struct picture *out, struct why *why)
{
	bool zeros = true;
	for (size_t i = 1; i <= JPEG_TAIL && i <= jpeg->size; i++)
		zeros = zeros && jpeg->bytes[jpeg->size - i] == 0;
	if (jpeg->scans != 1 || jpeg->frame == JPEG_SOF2 || jpeg->first_scan != jpeg->components || zeros)
		return picture_truncated("jpeg", jpeg->size, why);
	out->unended = true;
	return SCRY_OK;
}

int
jpeg_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	struct jpeg jpeg = {.bytes = bytes, .size = size, .at = 2, .end = 2};
	for (;;) {
		int marker = next_marker(&jpeg);
		if (marker == JPEG_EOI && jpeg.scans > 0)
			break;
		int error = 1;
		if (marker == JPEG_SOI || marker == JPEG_EOI || marker == JPEG_TEM ||
		    (marker >= JPEG_RST0 && marker <= JPEG_RST7))
			continue;
		if (marker >= 0)
			error = read_segment(&jpeg, (unsigned)marker, out, why);
		if (error < 0)
			return error;
		if (error > 0) {
			error = read_unended(&jpeg, out, why);
			if (error != SCRY_OK)
				return error;
			break;
		}
	}
	/* The end mark takes the place of the one that was read, or stands in the padding of the caller. */
	bytes[jpeg.end] = 0xff;
	bytes[jpeg.end + 1] = JPEG_EOI;
	return picture_set_data(out, bytes, jpeg.end + 2, why);
}

/* --- writing ------------------------------------------------------------------------------------------------- */

void
jpeg_quantisers(unsigned quality, uint16_t luma[64], uint16_t chroma[64])
{
	/* ITU-T T.81, tables K.1 and K.2. */
	static const uint8_t tables[2][64] = {
		{
			16, 11,  10,  16, 24, 40, 51, 61, 12,  12,  14,  19,  26, 58, 60, 55,  14,  13,  16,  24, 40, 57,
			69, 56,  14,  17, 22, 29, 51, 87, 80,  62,  18,  22,  37, 56, 68, 109, 103, 77,  24,  35, 55, 64,
			81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,  112, 100, 103, 99,
		},
		{
			17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
			99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
			99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		},
	};
	unsigned scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
	for (size_t i = 0; i < 128; i++) {
		unsigned value = (tables[i / 64][i % 64] * scale + 50) / 100;
		(i < 64 ? luma : chroma)[i % 64] = (uint16_t)(value < 1 ? 1 : value > 255 ? 255 : value);
	}
}
