/* lite_depthwise.c - depthwise convolution in blocks of channels that stay in registers. Pure; in the worker scry-lite.
 *
 * For one output pixel and 32 channels the sum runs over the filter's taps in two vector registers of 16 floats (or
 * the compiler's split of them); all loads are of neighbours. Built for three generations of x86-64, chosen when the
 * program starts.
 */
#include "engine/lite_depthwise.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
	!defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define CLONES
#endif
#define LANES 16

/* GCC's vector extension; a plain array where the machine has no such register. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* The taps that fall into the picture at one output place, from..to each way, and where the first one reads. */
struct window {
	int ky_from, ky_to, kx_from, kx_to;
	ptrdiff_t in; /* of tap (0, 0), in floats; may be before the picture */
};

static void
taps(int at, int step, int size, int count, int *from, int *to)
{
	*from = at < 0 ? (-at + step - 1) / step : 0;
	*to = at + (count - 1) * step >= size ? (size - at + step - 1) / step : count;
}

CLONES static void
pixel(const struct lite_depthwise *shape, const struct window *window, const float *in, const float *filter,
      const float *bias, float *out)
{
	const ptrdiff_t row = (ptrdiff_t)shape->in_width * shape->channels * shape->dilation_y;
	const ptrdiff_t column = (ptrdiff_t)shape->channels * shape->dilation_x;
	int c = 0;
	for (; c + 2 * LANES <= shape->channels; c += 2 * LANES) {
		lanes a = {0}, b = {0};
		if (bias != NULL) {
			a = *(const lanes *)(bias + c);
			b = *(const lanes *)(bias + c + LANES);
		}
		for (int ky = window->ky_from; ky < window->ky_to; ky++) {
			for (int kx = window->kx_from; kx < window->kx_to; kx++) {
				const float *x = in + window->in + ky * row + kx * column + c;
				const float *w = filter + (ptrdiff_t)(ky * shape->filter_width + kx) * shape->channels + c;
				a += *(const lanes *)x * *(const lanes *)w;
				b += *(const lanes *)(x + LANES) * *(const lanes *)(w + LANES);
			}
		}
		*(lanes *)(out + c) = a;
		*(lanes *)(out + c + LANES) = b;
	}
	for (; c < shape->channels; c++) {
		float sum = bias != NULL ? bias[c] : 0.f;
		for (int ky = window->ky_from; ky < window->ky_to; ky++) {
			for (int kx = window->kx_from; kx < window->kx_to; kx++)
				sum += in[window->in + ky * row + kx * column + c] *
					filter[(ptrdiff_t)(ky * shape->filter_width + kx) * shape->channels + c];
		}
		out[c] = sum;
	}
	for (c = 0; c < shape->channels; c++) {
		float value = out[c] < shape->min ? shape->min : out[c];
		out[c] = value > shape->max ? shape->max : value;
	}
}

void
lite_depthwise(const struct lite_depthwise *shape, const float *in, const float *filter, const float *bias, float *out)
{
	for (int y = 0; y < shape->out_height; y++) {
		struct window window;
		int in_y = y * shape->stride_y - shape->pad_top;
		taps(in_y, shape->dilation_y, shape->in_height, shape->filter_height, &window.ky_from, &window.ky_to);
		for (int x = 0; x < shape->out_width; x++, out += shape->channels) {
			int in_x = x * shape->stride_x - shape->pad_left;
			taps(in_x, shape->dilation_x, shape->in_width, shape->filter_width, &window.kx_from, &window.kx_to);
			window.in = ((ptrdiff_t)in_y * shape->in_width + in_x) * shape->channels;
			pixel(shape, &window, in, filter, bias, out);
		}
	}
}
