/* lite_depthwise.h - the depthwise convolution, the one layer that decides how fast scry-lite is. A pure function.
 *
 * Debian's TensorFlow Lite has no XNNPACK, and its own kernel for this layer on x86 takes 78 % of a frame's time
 * (sampled over the object detector on a Zen 5: 62 ms a frame on one thread, 20 ms with this one). child_tflite.c
 * hands it to the library as the layer's implementation; where a delegate takes the layer, it is not used.
 */
#ifndef ENGINE_LITE_DEPTHWISE_H
#define ENGINE_LITE_DEPTHWISE_H

#include <stdbool.h>

/* Tensors are height x width x channels, channels side by side; each channel has its own filter. */
struct lite_depthwise {
	int in_height, in_width, out_height, out_width, channels;
	int filter_height, filter_width;
	int stride_y, stride_x, dilation_y, dilation_x;
	int pad_top, pad_left;
	float min, max; /* of the output: the activation */
};

/* Writes out_height x out_width x channels. `bias` may be NULL. */
void lite_depthwise(const struct lite_depthwise *shape, const float *in, const float *filter, const float *bias,
                    float *out);

#endif
