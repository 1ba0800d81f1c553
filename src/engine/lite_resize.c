/* lite_resize.c - scaling of RGB pictures. In the worker scry-lite and in unit tests.
 *
 * Columns and rows are handled one after the other: each output row is a weighted sum of source rows (`sum`, the
 * long part, which the compiler turns into vector code), then each output pixel a weighted sum of columns of that.
 */
#include "engine/lite_resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scry.h"

/* Which source pixels an output pixel is made of: `first` with weight `from`, those between with `mid`, the last
 * with `to`. */
struct span {
	unsigned first, last;
	float from, mid, to;
};

/* Span of output pixel i of `out` over `in` source pixels; weights add up to 1. */
static struct span
span_of(unsigned i, unsigned in, unsigned out)
{
	float scale = (float)in / (float)out;
	struct span span;
	if (in > out) {
		float begin = (float)i * scale, end = begin + scale;
		span.first = (unsigned)begin;
		span.last = (unsigned)ceilf(end) - 1;
		span.last = span.last < in ? span.last : in - 1;
		span.mid = 1.f / scale;
		span.from = ((float)span.first + 1.f - begin) / scale;
		span.to = 1.f - span.from - span.mid * (float)(span.last - span.first - 1);
		if (span.last <= span.first)
			span = (struct span){.first = span.first, .last = span.first, .from = 1.f};
	} else {
		float at = ((float)i + .5f) * scale - .5f;
		at = fminf(fmaxf(at, 0.f), (float)(in - 1));
		span.first = (unsigned)at;
		span.last = span.first + 1 < in ? span.first + 1 : span.first;
		span.to = span.last > span.first ? at - (float)span.first : 0.f;
		span.from = 1.f - span.to;
		span.mid = 0.f;
	}
	return span;
}

static float
weight(const struct span *span, unsigned at)
{
	return at == span->first ? span->from : at == span->last ? span->to : span->mid;
}

static void
add_row(float *restrict sum, const uint8_t *restrict row, size_t count, float by)
{
	for (size_t i = 0; i < count; i++)
		sum[i] += by * (float)row[i];
}

static void
sum_rows(const struct lite_image *from, const struct span *rows, float *sum)
{
	size_t count = (size_t)from->width * 3;
	memset(sum, 0, count * sizeof(*sum));
	for (unsigned y = rows->first; y <= rows->last; y++)
		add_row(sum, from->rgb + y * from->stride, count, weight(rows, y));
}

static void
sum_columns(const float *sum, const struct span *columns, float pixel[3])
{
	float r = 0.f, g = 0.f, b = 0.f;
	for (unsigned x = columns->first; x <= columns->last; x++) {
		float by = weight(columns, x);
		r += by * sum[3 * (size_t)x];
		g += by * sum[3 * (size_t)x + 1];
		b += by * sum[3 * (size_t)x + 2];
	}
	pixel[0] = r;
	pixel[1] = g;
	pixel[2] = b;
}

/* Called for each output pixel, from the top left, row by row. */
typedef void (*put_fn)(void *user, unsigned x, unsigned y, const float pixel[3]);

static int
scale(const struct lite_image *from, unsigned width, unsigned height, put_fn put, void *user)
{
	float *sum = malloc((size_t)from->width * 3 * sizeof(*sum));
	struct span *columns = malloc(width * sizeof(*columns));
	if (sum == NULL || columns == NULL) {
		free(sum);
		free(columns);
		return SCRY_E_MEMORY;
	}
	for (unsigned x = 0; x < width; x++)
		columns[x] = span_of(x, from->width, width);
	for (unsigned y = 0; y < height; y++) {
		struct span rows = span_of(y, from->height, height);
		sum_rows(from, &rows, sum);
		for (unsigned x = 0; x < width; x++) {
			float pixel[3];
			sum_columns(sum, &columns[x], pixel);
			put(user, x, y, pixel);
		}
	}
	free(sum);
	free(columns);
	return 0;
}

struct bytes {
	uint8_t *to;
};

static void
put_bytes(void *user, unsigned x, unsigned y, const float pixel[3])
{
	struct bytes *bytes = user;
	(void)x;
	(void)y;
	for (int i = 0; i < 3; i++)
		*bytes->to++ = (uint8_t)(pixel[i] + .5f);
}

int
lite_resize(const struct lite_image *from, uint8_t *to, unsigned width, unsigned height)
{
	struct bytes bytes = {.to = to};
	return scale(from, width, height, put_bytes, &bytes);
}

struct lite_rect
lite_resize_fit(unsigned width, unsigned height, unsigned side)
{
	struct lite_rect rect = {.width = side, .height = side};
	if (width > height)
		rect.height = (unsigned)lroundf((float)side * (float)height / (float)width);
	else
		rect.width = (unsigned)lroundf((float)side * (float)width / (float)height);
	rect.width = rect.width > 0 ? rect.width : 1;
	rect.height = rect.height > 0 ? rect.height : 1;
	rect.x = (side - rect.width) / 2;
	rect.y = (side - rect.height) / 2;
	return rect;
}

struct floats {
	float *to; /* the rectangle's first value */
	size_t row;
};

static void
put_floats(void *user, unsigned x, unsigned y, const float pixel[3])
{
	struct floats *floats = user;
	float *to = floats->to + y * floats->row + 3 * (size_t)x;
	for (int i = 0; i < 3; i++)
		to[i] = pixel[i] / 127.5f - 1.f;
}

int
lite_resize_input(const struct lite_image *from, float *input, unsigned side, const struct lite_rect *rect)
{
	size_t row = (size_t)side * 3;
	struct floats floats = {.to = input + rect->y * row + 3 * (size_t)rect->x, .row = row};
	if (rect->width < side || rect->height < side) {
		for (size_t i = 0; i < side * row; i++)
			input[i] = -1.f;
	}
	return scale(from, rect->width, rect->height, put_floats, &floats);
}
