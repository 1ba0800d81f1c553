/* child_ffmpeg.c - decode, flatten, scale, encode with libavcodec and libswscale; see child_ffmpeg.h.
 *
 * Runs in scry-eye, sandboxed: one thread, no file, no network. The only file of the eye that includes FFmpeg. A picture
 * goes: picture_read (own parsers) -> decode_layer (tiles to one frame) -> flatten (transparency over white) -> convert
 * (RGB24, scaled, into the caller's memory) -> pixels_turn. Codecs live for one picture: nothing of it is seen in the next.
 */
#include "eye/child_ffmpeg.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "base/str.h"
#include "eye/child_pixels.h"
#include "scry.h"

#define LOWRES_MAX 2  /* halvings; at an eighth FFmpeg's JPEG decoder has nothing left of chroma */
#define LOG_LINES 8   /* of FFmpeg's that are passed on for one picture */
#define ROW_ALIGN 64u /* swscale's vector code writes whole blocks; rows that are multiples of it keep them apart */

/* --- FFmpeg's own words ------------------------------------------------------------------------------------- */

static struct {
	ffmpeg_log_fn sink;
	unsigned lines;  /* since begin_words() */
	unsigned errors; /* of those, lines that FFmpeg calls errors */
	bool no_memory;  /* a frame could not be allocated: some decoders call that invalid data */
	char last[128];  /* the last error */
} words;

static void
begin_words(void)
{
	words.lines = words.errors = words.no_memory = 0;
	words.last[0] = '\0';
}

static void
hear(void *context, int level, const char *format, va_list args)
{
	(void)context;
	char line[256];
	if (level > AV_LOG_WARNING)
		return;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	str_printable(line);
	if (level <= AV_LOG_ERROR) {
		words.errors++;
		str_copy(words.last, sizeof(words.last), line);
	}
	if (words.sink != NULL && words.lines++ < LOG_LINES)
		words.sink(line);
}

void
ffmpeg_init(ffmpeg_log_fn log)
{
	words.sink = log;
	av_log_set_callback(hear);
}

/* --- bytes to one frame ------------------------------------------------------------------------------------- */

/* The decoders that may see untrusted bytes, by name: what else this FFmpeg was built with is out of reach. */
static const AVCodec *
find_decoder(enum picture_kind kind)
{
	static const char *const names[] = {
		[PICTURE_JPEG] = "mjpeg", [PICTURE_PNG] = "png",   [PICTURE_WEBP] = "webp",    [PICTURE_GIF] = "gif",
		[PICTURE_BMP] = "bmp",    [PICTURE_TIFF] = "tiff", [PICTURE_AV1] = "libdav1d", [PICTURE_HEVC] = "hevc",
	};
	const AVCodec *codec = avcodec_find_decoder_by_name(names[kind]);
	return codec == NULL && kind == PICTURE_AV1 ? avcodec_find_decoder_by_name("libaom-av1") : codec;
}

/* Frames begin black: what a damaged picture leaves unpainted must not be what stood there before, which may have been
 * somebody else's picture. */
static int
new_buffer(AVCodecContext *context, AVFrame *frame, int flags)
{
	int error = avcodec_default_get_buffer2(context, frame, flags);
	words.no_memory |= error == AVERROR(ENOMEM);
	for (size_t i = 0; error >= 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i] != NULL; i++)
		memset(frame->buf[i]->data, 0, frame->buf[i]->size);
	return error;
}

/* One sentence for an error of FFmpeg's. */
static int
explain(int error, const struct picture *picture, size_t size, struct why *why)
{
	if (error == AVERROR(ENOMEM) || words.no_memory)
		return why_set(why, SCRY_E_LIMIT,
		               "this %s of %ux%u pixels needs more memory than decoding may use; scale it down "
		               "first",
		               picture->name, picture->width, picture->height);
	if (error == AVERROR_PATCHWELCOME || error == AVERROR(ENOSYS))
		return why_set(why, SCRY_E_INPUT, "this kind of %s is not read here%s%s; save it as JPEG or plain PNG",
		               picture->name, words.last[0] != '\0' ? ": " : "", words.last);
	if (picture->unended)
		return picture_truncated(picture->name, size, why);
	return why_set(why, SCRY_E_INPUT, "damaged or truncated %s%s%s; fetch or save it again", picture->name,
	               words.last[0] != '\0' ? ": " : "", words.last);
}

static int
open_decoder(const struct picture *picture, const struct picture_tile *tile, int lowres, AVCodecContext **out,
             struct why *why)
{
	const AVCodec *codec = find_decoder(picture->kind);
	if (codec == NULL)
		return why_set(why, SCRY_E_INPUT,
		               "this FFmpeg was built without a decoder for %s; save the picture as JPEG or PNG",
		               picture->name);
	AVCodecContext *context = avcodec_alloc_context3(codec);
	if (context == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	context->thread_count = 1; /* the sandbox has no clone() */
	context->thread_type = FF_THREAD_SLICE;
	/* A thousand tiles that say 64x64 and are 64 megapixels each would take minutes. */
	int64_t tile_pixels = ((int64_t)tile->width + 128) * ((int64_t)tile->height + 128);
	context->max_pixels =
		tile->width > 0 && tile_pixels < (int64_t)EYE_PIXELS_MAX ? tile_pixels : (int64_t)EYE_PIXELS_MAX;
	context->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
	context->discard_damaged_percentage = 0;
	context->get_buffer2 = new_buffer;
	context->lowres = lowres;
	int error = AVERROR(ENOMEM);
	if (tile->config != NULL) {
		context->extradata = av_mallocz(tile->config_size + AV_INPUT_BUFFER_PADDING_SIZE);
		if (context->extradata == NULL)
			goto fail;
		memcpy(context->extradata, tile->config, tile->config_size);
		context->extradata_size = (int)tile->config_size;
	}
	error = avcodec_open2(context, codec, NULL);
	if (error < 0)
		goto fail;
	*out = context;
	return SCRY_OK;
fail:
	avcodec_free_context(&context);
	return explain(error, picture, tile->size, why);
}

static void
leave_bytes(void *opaque, uint8_t *data)
{
	(void)opaque, (void)data; /* the caller's */
}

/* Decodes one tile; *frame is a fresh AVFrame of the caller's. Returns FFmpeg's error. */
static int
decode_tile(AVCodecContext *context, const struct picture_tile *tile, AVFrame *frame)
{
	AVPacket *packet = av_packet_alloc();
	if (packet == NULL)
		return AVERROR(ENOMEM);
	/* In a buffer of libavcodec's, or it would be copied. Nothing holds on to it after the flush. */
	packet->data = (uint8_t *)(uintptr_t)tile->data;
	packet->size = (int)tile->size;
	packet->flags = AV_PKT_FLAG_KEY;
	packet->buf = av_buffer_create(packet->data, tile->size, leave_bytes, NULL, AV_BUFFER_FLAG_READONLY);
	int error = packet->buf != NULL ? avcodec_send_packet(context, packet) : AVERROR(ENOMEM);
	if (error >= 0)
		error = avcodec_receive_frame(context, frame);
	if (error == AVERROR(EAGAIN)) { /* decoders that reorder give their only frame at the end */
		error = avcodec_send_packet(context, NULL);
		if (error >= 0)
			error = avcodec_receive_frame(context, frame);
	}
	av_packet_free(&packet);
	avcodec_flush_buffers(context);
	return error >= 0 && (frame->decode_error_flags != 0 || frame->flags & AV_FRAME_FLAG_CORRUPT) ?
		AVERROR_INVALIDDATA :
		error;
}

static AVFrame *
new_frame(int format, uint32_t width, uint32_t height)
{
	AVFrame *frame = av_frame_alloc();
	if (frame == NULL)
		return NULL;
	frame->format = format;
	frame->width = (int)width;
	frame->height = (int)height;
	if (av_frame_get_buffer(frame, 0) < 0)
		av_frame_free(&frame);
	return frame;
}

/* Copies a decoded tile to its place in `canvas`, cut at the edges. */
static void
place_tile(AVFrame *canvas, const AVFrame *tile, uint32_t x, uint32_t y)
{
	const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(tile->format);
	int width = tile->width < canvas->width - (int)x ? tile->width : canvas->width - (int)x;
	int height = tile->height < canvas->height - (int)y ? tile->height : canvas->height - (int)y;
	for (int plane = 0; plane < 4 && tile->data[plane] != NULL; plane++) {
		bool chroma = (plane == 1 || plane == 2) && !(format->flags & AV_PIX_FMT_FLAG_RGB);
		int left = av_image_get_linesize(tile->format, (int)x, plane);
		int top = chroma ? (int)y >> format->log2_chroma_h : (int)y;
		int rows = chroma ? AV_CEIL_RSHIFT(height, format->log2_chroma_h) : height;
		av_image_copy_plane(canvas->data[plane] + (ptrdiff_t)top * canvas->linesize[plane] + left,
		                    canvas->linesize[plane], tile->data[plane], tile->linesize[plane],
		                    av_image_get_linesize(tile->format, width, plane), rows);
	}
}

/* A tile of a grid into *canvas, which is made with the first. */
static int
join_tile(const struct picture *picture, const struct picture_tile *tile, const AVFrame *decoded, AVFrame **canvas)
{
	const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(decoded->format);
	if (*canvas == NULL) {
		*canvas = new_frame(decoded->format, picture->width, picture->height);
		if (*canvas == NULL)
			return AVERROR(ENOMEM);
		av_frame_copy_props(*canvas, decoded);
	}
	bool aligned = tile->x % (1u << format->log2_chroma_w) == 0 && tile->y % (1u << format->log2_chroma_h) == 0;
	bool whole = decoded->width >= (int)tile->width && decoded->height >= (int)tile->height;
	if (decoded->format != (*canvas)->format || !aligned || !whole)
		return AVERROR_INVALIDDATA;
	place_tile(*canvas, decoded, tile->x, tile->y);
	return 0;
}

/* Decodes the tiles of a layer into one frame. */
static int
decode_layer(const struct picture *picture, const struct picture_layer *layer, int lowres, AVFrame **out,
             struct why *why)
{
	AVCodecContext *context = NULL;
	AVFrame *frame = av_frame_alloc(), *canvas = NULL;
	int error = frame == NULL ? why_set(why, SCRY_E_MEMORY, "out of memory") : SCRY_OK;
	for (size_t i = 0; i < layer->count && error == SCRY_OK; i++) {
		const struct picture_tile *tile = &layer->tiles[i];
		/* Tiles of a grid share their configuration, and so the decoder. */
		if (i == 0 || tile->config != layer->tiles[i - 1].config) {
			avcodec_free_context(&context);
			error = open_decoder(picture, tile, lowres, &context, why);
			if (error != SCRY_OK)
				break;
		}
		av_frame_unref(frame);
		int result = decode_tile(context, tile, frame);
		if (result >= 0 && layer->count > 1)
			result = join_tile(picture, tile, frame, &canvas);
		if (result < 0)
			error = explain(result, picture, tile->size, why);
	}
	/* The decoder lets go of its references first: a frame with one owner is changed without a copy. */
	avcodec_free_context(&context);
	if (canvas != NULL) {
		av_frame_free(&frame);
		frame = canvas;
	}
	if (error == SCRY_OK && picture->kind == PICTURE_GIF && words.errors > 0) /* it gives what it has */
		error = explain(AVERROR_INVALIDDATA, picture, layer->tiles[0].size, why);
	if (error != SCRY_OK)
		av_frame_free(&frame);
	else
		*out = frame;
	return error;
}

/* --- colours and sizes -------------------------------------------------------------------------------------- */

/* FFmpeg's old way to say "full range" is a format of its own ("yuvj420p"), which libswscale warns of. */
static enum AVPixelFormat
plain_format(enum AVPixelFormat format, bool *full_range)
{
	char plain[32];
	const char *name = av_get_pix_fmt_name(format);
	if (strncmp(name, "yuvj", 4) != 0)
		return format;
	*full_range = true;
	snprintf(plain, sizeof(plain), "yuv%s", name + 4);
	return av_get_pix_fmt(plain);
}

/* Is 255 white in this frame, or 235? Grey without a word on it is full range in every format that has grey. */
static bool
is_full_range(const AVFrame *frame)
{
	const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
	return frame->color_range == AVCOL_RANGE_JPEG ||
		(frame->color_range == AVCOL_RANGE_UNSPECIFIED && format->nb_components <= 2);
}

static struct SwsContext *
new_scaler(const AVFrame *from, bool fast, enum AVPixelFormat format, uint32_t width, uint32_t height)
{
	bool full_range = is_full_range(from);
	enum AVPixelFormat from_format = plain_format(from->format, &full_range);
	/* Bicubic with the width of its kernel growing with the reduction, as Pillow's. At the same size, where only chroma is
	 * interpolated, it has to be bicubic as well: with two taps libswscale 6 takes a short cut that moves chroma up by
	 * half a pixel. */
	int quality = SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;
	/* Fast at the same size: chroma is repeated, not interpolated, in a tenth of the time (libswscale has it for even
	 * heights only). */
	bool repeat = fast && (uint32_t)from->width == width && (uint32_t)from->height == height && height % 2 == 0;
	int filters[] = {repeat ? SWS_FAST_BILINEAR : SWS_BICUBIC | quality, SWS_AREA | quality, SWS_POINT};
	struct SwsContext *scaler = NULL;
	/* Extreme reductions (a line of 60,000 pixels to 512) have filters that libswscale cannot build. */
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]) && scaler == NULL; i++)
		scaler = sws_getContext(from->width, from->height, from_format, (int)width, (int)height, format, filters[i],
		                        NULL, NULL, NULL);
	if (scaler == NULL)
		return NULL;
	/* What does not name its matrix is BT.601: JFIF, WebP, and by MIAF (ISO/IEC 23000-22) AVIF and HEIC. */
	const int *matrix =
		sws_getCoefficients(from->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_ITU601 : (int)from->colorspace);
	sws_setColorspaceDetails(scaler, matrix, full_range, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
	return scaler;
}

static int
convert(const AVFrame *from, bool fast, enum AVPixelFormat format, uint32_t width, uint32_t height, uint8_t *to,
        size_t stride)
{
	struct SwsContext *scaler = new_scaler(from, fast, format, width, height);
	if (scaler == NULL)
		return words.errors > 0 ? AVERROR_PATCHWELCOME : AVERROR(ENOMEM);
	int rows = sws_scale(scaler, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
	                     (uint8_t *[4]){to}, (int[4]){(int)stride});
	sws_freeContext(scaler);
	return rows < 0 ? rows : 0;
}

/* Where the alpha of a pixel is in formats of 4 bytes; -1 for all other formats. */
static int
alpha_byte(int format)
{
	if (format == AV_PIX_FMT_RGBA || format == AV_PIX_FMT_BGRA)
		return 3;
	return format == AV_PIX_FMT_ARGB || format == AV_PIX_FMT_ABGR ? 0 : -1;
}

/* Puts the alpha layer's frame into the pixels' fourth bytes. */
static int
take_alpha(AVFrame *rgba, const AVFrame *alpha)
{
	AVFrame *grey = new_frame(AV_PIX_FMT_GRAY8, (uint32_t)rgba->width, (uint32_t)rgba->height);
	if (grey == NULL)
		return AVERROR(ENOMEM);
	int error = convert(alpha, false, AV_PIX_FMT_GRAY8, (uint32_t)rgba->width, (uint32_t)rgba->height, grey->data[0],
	                    (size_t)grey->linesize[0]);
	for (int y = 0; y < rgba->height && error >= 0; y++)
		for (int x = 0; x < rgba->width; x++)
			rgba->data[0][(ptrdiff_t)y * rgba->linesize[0] + 4 * x + 3] =
				grey->data[0][(ptrdiff_t)y * grey->linesize[0] + x];
	av_frame_free(&grey);
	return error;
}

/* Makes *frame one of RGBA that is as large as the picture, with the alpha layer's transparency. */
static int
make_rgba(const struct picture *picture, const AVFrame *alpha, AVFrame **frame)
{
	uint32_t x = picture->color.tiles[0].x, y = picture->color.tiles[0].y;
	AVFrame *rgba = new_frame(AV_PIX_FMT_RGBA, picture->width, picture->height);
	if (rgba == NULL)
		return AVERROR(ENOMEM);
	size_t stride = (size_t)rgba->linesize[0];
	uint32_t width = (uint32_t)(*frame)->width, height = (uint32_t)(*frame)->height;
	int error = AVERROR_INVALIDDATA;
	if (x + width <= picture->width && y + height <= picture->height) {
		if (width < picture->width || height < picture->height)
			memset(rgba->data[0], 0, stride * picture->height); /* transparent */
		error =
			convert(*frame, false, AV_PIX_FMT_RGBA, width, height, rgba->data[0] + y * stride + 4 * (size_t)x, stride);
	}
	if (error >= 0 && alpha != NULL)
		error = take_alpha(rgba, alpha);
	av_frame_free(error >= 0 ? frame : &rgba);
	*frame = error >= 0 ? rgba : *frame;
	return error;
}

/* Lays the frame over white before it is scaled, so that the colour of what cannot be seen does not bleed into edges.
 * A frame without transparency is left as it is. 0 or an error of FFmpeg's. */
static int
flatten(const struct picture *picture, const AVFrame *alpha, AVFrame **frame)
{
	const AVPixFmtDescriptor *format = av_pix_fmt_desc_get((*frame)->format);
	bool partial = picture->kind == PICTURE_WEBP &&
		((uint32_t)(*frame)->width < picture->width || (uint32_t)(*frame)->height < picture->height);
	int error = 0;
	if (!partial && alpha == NULL && (*frame)->format == AV_PIX_FMT_PAL8) {
		error = av_frame_make_writable(*frame);
		if (error >= 0) /* 256 numbers, alpha in the highest byte */
			pixels_over_white((*frame)->data[1], 1024, 256, 1, AV_NE(0, 3));
		return error;
	}
	if (!partial && alpha == NULL && !(format->flags & AV_PIX_FMT_FLAG_ALPHA))
		return 0;
	if (partial || alpha != NULL || alpha_byte((*frame)->format) < 0)
		error = make_rgba(picture, alpha, frame);
	else
		error = av_frame_make_writable(*frame);
	if (error >= 0)
		pixels_over_white((*frame)->data[0], (size_t)(*frame)->linesize[0], (uint32_t)(*frame)->width,
		                  (uint32_t)(*frame)->height, (unsigned)alpha_byte((*frame)->format));
	return error;
}

/* FFmpeg rounds reduced sides up, which would squeeze the picture by up to a pixel; take the nearest number of rows. */
static void
trim_lowres(const struct picture *picture, int lowres, AVFrame *frame)
{
	uint32_t half = lowres > 0 ? 1u << (lowres - 1) : 0;
	uint32_t width = (picture->width + half) >> lowres, height = (picture->height + half) >> lowres;
	if (lowres > 0 && width < (uint32_t)frame->width && width > 0)
		frame->width = (int)width;
	if (lowres > 0 && height < (uint32_t)frame->height && height > 0)
		frame->height = (int)height;
}

/* Writes the frame into the caller's memory, width x height before turning. 0 or an error of FFmpeg's. */
static int
deliver(const AVFrame *frame, bool fast, unsigned orientation, uint32_t width, uint32_t height,
        const struct ffmpeg_wanted *wanted, struct ffmpeg_frame *out)
{
	uint32_t row = (width * 3 + ROW_ALIGN - 1) & ~(ROW_ALIGN - 1);
	out->width = orientation > 4 ? height : width;
	out->height = orientation > 4 ? width : height;
	out->stride = (out->width * 3 + ROW_ALIGN - 1) & ~(ROW_ALIGN - 1);
	if ((uint64_t)out->stride * out->height > wanted->capacity)
		out->stride = out->width * 3;
	bool direct = orientation == 1 && out->stride % ROW_ALIGN == 0;
	uint8_t *pixels = direct ? wanted->pixels : av_malloc((size_t)row * height + ROW_ALIGN);
	if (pixels == NULL)
		return AVERROR(ENOMEM);
	int error = convert(frame, fast, AV_PIX_FMT_RGB24, width, height, pixels, row);
	if (direct)
		return error;
	if (error >= 0)
		pixels_turn(wanted->pixels, out->stride, pixels, row, width, height, orientation);
	av_free(pixels);
	return error;
}

static int
decode_picture(const struct picture *picture, size_t size, const struct ffmpeg_wanted *wanted, struct ffmpeg_frame *out,
               struct why *why)
{
	bool turned = picture->orientation > 4;
	uint32_t width = picture->width, height = picture->height;
	pixels_fit(&width, &height, turned ? wanted->max_height : wanted->max_width,
	           turned ? wanted->max_width : wanted->max_height, wanted->capacity);
	AVFrame *frame = NULL, *alpha = NULL;
	bool halve = wanted->fast && picture->kind == PICTURE_JPEG;
	int lowres = halve ? pixels_halvings(picture->width, picture->height, width, height, LOWRES_MAX) : 0;
	int error = decode_layer(picture, &picture->color, lowres, &frame, why);
	if (error == SCRY_OK && picture->alpha.count > 0)
		error = decode_layer(picture, &picture->alpha, 0, &alpha, why);
	if (error == SCRY_OK) {
		trim_lowres(picture, lowres, frame);
		if (picture->matrix >= 0)
			frame->colorspace = (enum AVColorSpace)picture->matrix;
		if (picture->full_range >= 0)
			frame->color_range = picture->full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
		int result = flatten(picture, alpha, &frame);
		if (result >= 0)
			result = deliver(frame, wanted->fast && lowres == 0, picture->orientation, width, height, wanted, out);
		if (result < 0)
			error = explain(result, picture, size, why);
	}
	out->source_width = turned ? picture->height : picture->width;
	out->source_height = turned ? picture->width : picture->height;
	str_copy(out->format, sizeof(out->format), picture->name);
	av_frame_free(&alpha);
	av_frame_free(&frame);
	return error;
}

int
ffmpeg_decode(uint8_t *bytes, size_t size, const struct ffmpeg_wanted *wanted, struct ffmpeg_frame *out,
              struct why *why)
{
	struct picture picture;
	struct ffmpeg_frame frame = {0};
	begin_words();
	int error = picture_read(bytes, size, &picture, why);
	if (error != SCRY_OK)
		return error;
	error = decode_picture(&picture, size, wanted, &frame, why);
	picture_clear(&picture);
	if (error == SCRY_OK)
		*out = frame;
	return error;
}

/* --- pixels to JPEG ------------------------------------------------------------------------------------------ */

/* avcodec_free_context() of FFmpeg 5.1 forgets the second matrix. */
static void
close_encoder(AVCodecContext **context)
{
	if (*context != NULL)
		av_freep(&(*context)->chroma_intra_matrix);
	avcodec_free_context(context);
}

static int
open_encoder(uint32_t width, uint32_t height, unsigned quality, AVCodecContext **out)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("mjpeg");
	AVCodecContext *context = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	if (context == NULL)
		return codec == NULL ? AVERROR_ENCODER_NOT_FOUND : AVERROR(ENOMEM);
	context->width = (int)width;
	context->height = (int)height;
	context->time_base = (AVRational){1, 1};
	context->pix_fmt = AV_PIX_FMT_YUVJ420P;
	context->color_range = AVCOL_RANGE_JPEG;
	context->thread_count = 1;
	/* FFmpeg multiplies the quantisers by qscale / 8: 8 takes them as they are. Its own scale of 2..31 knows nothing
	 * between good and very good. */
	context->flags |= AV_CODEC_FLAG_QSCALE;
	context->global_quality = 8 * FF_QP2LAMBDA;
	context->intra_matrix = av_malloc(64 * sizeof(uint16_t));
	context->chroma_intra_matrix = av_malloc(64 * sizeof(uint16_t));
	int error = AVERROR(ENOMEM);
	if (context->intra_matrix != NULL && context->chroma_intra_matrix != NULL) {
		jpeg_quantisers(quality, context->intra_matrix, context->chroma_intra_matrix);
		error = avcodec_open2(context, codec, NULL);
	}
	if (error < 0)
		close_encoder(&context);
	else
		*out = context;
	return error;
}

/* RGB24 to the encoder's full-range YUV. */
static int
convert_for_encoder(const uint8_t *pixels, uint32_t stride, AVFrame *frame)
{
	struct SwsContext *scaler =
		sws_getContext(frame->width, frame->height, AV_PIX_FMT_RGB24, frame->width, frame->height, AV_PIX_FMT_YUV420P,
	                   SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
	if (scaler == NULL)
		return AVERROR(ENOMEM);
	const int *matrix = sws_getCoefficients(SWS_CS_ITU601);
	sws_setColorspaceDetails(scaler, matrix, 1, matrix, 1, 0, 1 << 16, 1 << 16);
	int rows = sws_scale(scaler, (const uint8_t *[4]){pixels}, (int[4]){(int)stride}, 0, frame->height, frame->data,
	                     frame->linesize);
	sws_freeContext(scaler);
	frame->format = AV_PIX_FMT_YUVJ420P;
	frame->quality = 8 * FF_QP2LAMBDA;
	return rows < 0 ? rows : 0;
}

int
ffmpeg_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride, unsigned quality, uint8_t **out,
              size_t *out_size, struct why *why)
{
	assert(width > 0 && height > 0 && quality >= 1 && quality <= 100);
	if (width > 65500 || height > 65500)
		return why_set(why, SCRY_E_LIMIT, "%ux%u pixels are more than a JPEG can hold (65500 a side)", width, height);
	begin_words();
	AVCodecContext *context = NULL;
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = new_frame(AV_PIX_FMT_YUV420P, width, height);
	uint8_t *copy = NULL;
	int error = packet != NULL && frame != NULL ? open_encoder(width, height, quality, &context) : AVERROR(ENOMEM);
	if (error >= 0)
		error = convert_for_encoder(pixels, stride, frame);
	if (error >= 0)
		error = avcodec_send_frame(context, frame);
	if (error >= 0)
		error = avcodec_receive_packet(context, packet);
	if (error >= 0 && (copy = malloc((size_t)packet->size)) == NULL)
		error = AVERROR(ENOMEM);
	if (error >= 0) {
		memcpy(copy, packet->data, (size_t)packet->size);
		*out = copy;
		*out_size = (size_t)packet->size;
	}
	av_frame_free(&frame);
	av_packet_free(&packet);
	close_encoder(&context);
	if (error < 0)
		return why_set(why, SCRY_E_MEMORY, "the picture of %ux%u pixels cannot be encoded as JPEG%s%s", width, height,
		               words.last[0] != '\0' ? ": " : "", words.last);
	return SCRY_OK;
}
