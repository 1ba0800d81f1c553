/* child_webp.c - the chunks of a WebP (RFC 9649): the picture, or the first frame of an animation.
 *
 * Runs in scry-eye on untrusted bytes; see child_picture.h. FFmpeg reads still pictures only; the first frame of an
 * animation is handed to it as a still one, and placed on the animation's canvas afterwards.
 */
#include "eye/child_picture.h"

#include <string.h>

#include "scry.h"

#define RIFF_HEAD 12 /* "RIFF", size, "WEBP" */
#define CHUNK 8
#define VP8X_BODY 10
#define ANMF_BODY 16
#define VP8X_ALPHA 0x10

struct webp {
	uint8_t *bytes;
	size_t size;            /* of the file as far as the RIFF head says */
	size_t end;             /* of what is kept, in front of what is read */
	uint32_t width, height; /* of the coded frame */
	bool extended;          /* begins with VP8X */
	bool has_alpha, has_frame;
	bool animated;
	uint32_t x, y, canvas_width, canvas_height;
};

static uint32_t
le24(const uint8_t *p)
{
	return picture_le16(p) | (uint32_t)p[2] << 16;
}

static void
keep_chunk(struct webp *webp, size_t at, size_t length)
{
	memmove(webp->bytes + webp->end, webp->bytes + at, CHUNK + length);
	webp->end += CHUNK + length;
	if (length & 1)
		webp->bytes[webp->end++] = 0;
}

/* The size stands in the first bytes of either bit stream: RFC 6386 section 9.1, RFC 9649 section 3.4. */
static bool
frame_size(struct webp *webp, const uint8_t *chunk, size_t length)
{
	const uint8_t *body = chunk + CHUNK;
	if (chunk[3] == 'L') {
		if (length < 5 || body[0] != 0x2f)
			return false;
		uint32_t bits = picture_le32(body + 1);
		webp->width = (bits & 0x3fff) + 1;
		webp->height = (bits >> 14 & 0x3fff) + 1;
		return true;
	}
	if (length < 10 || memcmp(body + 3, "\x9d\x01\x2a", 3) != 0)
		return false;
	webp->width = picture_le16(body + 6) & 0x3fff;
	webp->height = picture_le16(body + 8) & 0x3fff;
	return true;
}

static int read_chunks(struct webp *webp, size_t at, size_t end, struct picture *out, struct why *why);

static int
read_chunk(struct webp *webp, size_t at, size_t length, struct picture *out, struct why *why)
{
	const uint8_t *chunk = webp->bytes + at, *body = chunk + CHUNK;
	if (memcmp(chunk, "VP8X", 4) == 0 && length >= VP8X_BODY) {
		webp->canvas_width = le24(body + 4) + 1;
		webp->canvas_height = le24(body + 7) + 1;
	} else if (memcmp(chunk, "ANMF", 4) == 0 && length >= ANMF_BODY && !webp->animated && !webp->has_frame) {
		webp->animated = true;
		webp->x = 2 * le24(body);
		webp->y = 2 * le24(body + 3);
		return read_chunks(webp, at + CHUNK + ANMF_BODY, at + CHUNK + length, out, why);
	} else if (memcmp(chunk, "ALPH", 4) == 0 && !webp->has_alpha && !webp->has_frame) {
		webp->has_alpha = true;
		keep_chunk(webp, at, length);
	} else if ((memcmp(chunk, "VP8 ", 4) == 0 || memcmp(chunk, "VP8L", 4) == 0) && !webp->has_frame) {
		if (!frame_size(webp, chunk, length))
			return why_set(why, SCRY_E_INPUT, "damaged webp: its picture has no header");
		webp->has_frame = true;
		keep_chunk(webp, at, length);
	} else if (memcmp(chunk, "EXIF", 4) == 0) {
		out->orientation = exif_orientation(body, length);
	}
	return SCRY_OK;
}

/* Goes through the chunks in [at, end). Nesting is one level deep: ANMF within ANMF is not entered again. */
static int
read_chunks(struct webp *webp, size_t at, size_t end, struct picture *out, struct why *why)
{
	while (end - at >= CHUNK) {
		size_t length = picture_le32(webp->bytes + at + 4);
		if (length > end - at - CHUNK)
			return picture_truncated("webp", webp->size, why);
		int error = read_chunk(webp, at, length, out, why);
		if (error != SCRY_OK)
			return error;
		at += CHUNK + length;
		if (length & 1 && at < end)
			at++;
	}
	return SCRY_OK;
}

/* Writes the head of the still picture that FFmpeg gets: RIFF, and VP8X where transparency has to be announced. */
static void
write_head(struct webp *webp, size_t start)
{
	uint8_t *head = webp->bytes + start;
	uint32_t size = (uint32_t)(webp->end - start - 8);
	memcpy(head, "RIFF", 4);
	for (unsigned i = 0; i < 4; i++)
		head[4 + i] = (uint8_t)(size >> 8 * i);
	memcpy(head + 8, "WEBP", 4);
	if (!webp->extended || !webp->has_alpha)
		return;
	uint8_t *extended = head + RIFF_HEAD;
	memcpy(extended, "VP8X\x0a\0\0\0", CHUNK);
	memset(extended + CHUNK, 0, VP8X_BODY);
	extended[CHUNK] = VP8X_ALPHA;
	for (unsigned i = 0; i < 3; i++) {
		extended[CHUNK + 4 + i] = (uint8_t)((webp->width - 1) >> 8 * i);
		extended[CHUNK + 7 + i] = (uint8_t)((webp->height - 1) >> 8 * i);
	}
}

static int
finish(struct webp *webp, struct picture *out, struct why *why)
{
	uint32_t width = webp->width, height = webp->height;
	if (webp->animated) {
		width = webp->canvas_width;
		height = webp->canvas_height;
		if (webp->width > width || webp->height > height || webp->x > width - webp->width ||
		    webp->y > height - webp->height)
			return why_set(why, SCRY_E_INPUT, "damaged webp: its first frame does not lie within the picture");
	}
	int error = picture_set_size(out, width, height, why);
	if (error != SCRY_OK)
		return error;
	size_t start = webp->extended && !webp->has_alpha ? CHUNK + VP8X_BODY : 0;
	write_head(webp, start);
	error = picture_set_data(out, webp->bytes + start, webp->end - start, why);
	if (error == SCRY_OK) {
		out->color.tiles[0].x = webp->x;
		out->color.tiles[0].y = webp->y;
	}
	return error;
}

int
webp_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	if (memcmp(bytes, "RIFF", 4) != 0)
		return why_set(why, SCRY_E_INPUT, "damaged webp: it does not begin with RIFF");
	size_t riff = picture_le32(bytes + 4);
	if (riff < 4)
		return why_set(why, SCRY_E_INPUT, "damaged webp: it says that it is empty");
	/* Bytes after the RIFF are nobody's. One byte too few is a chunk of odd size without its padding. */
	if (riff > size - 8 + 1)
		return picture_truncated("webp", size, why);
	size_t file = riff < size - 8 ? riff + 8 : size;
	struct webp webp = {.bytes = bytes, .size = file};
	webp.extended = file >= RIFF_HEAD + CHUNK + VP8X_BODY && memcmp(bytes + RIFF_HEAD, "VP8X\x0a\0\0\0", 8) == 0;
	/* Room for the new head: an extended file has it, another needs only the RIFF. */
	webp.end = webp.extended ? RIFF_HEAD + CHUNK + VP8X_BODY : RIFF_HEAD;
	int error = read_chunks(&webp, RIFF_HEAD, file, out, why);
	if (error != SCRY_OK)
		return error;
	if (!webp.has_frame)
		return picture_truncated("webp", size, why);
	return finish(&webp, out, why);
}
