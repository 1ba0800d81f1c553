/* child_tflite.c - TensorFlow Lite's C API, the only place that knows it.
 *
 * Called by child_lite.c in the worker scry-lite. The model's bytes are untrusted: the library verifies the flat
 * buffer, and what the network looks like is compared with what is expected before a number is read from it. The
 * C API chooses the kernels itself (and XNNPACK's where the library was built with them).
 */
#include "engine/child_tflite.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorflow/lite/c/builtin_op_data.h>
#include <tensorflow/lite/c/c_api.h>
#include <tensorflow/lite/c/c_api_experimental.h>
#include <tensorflow/lite/c/common.h>

#include "engine/lite_depthwise.h"
#include "scry.h"

/* An experimental function: where a release lacks it, the library's own kernel is used. */
#pragma weak TfLiteInterpreterOptionsAddBuiltinOp
#define DEPTHWISE_VERSIONS 7 /* of the operator in the schema; later ones differ in quantised types only */

/* The processor is looked at before main, while files can still be opened: the library cpuinfo, which TensorFlow
 * Lite asks for the kernels to use, reads /proc/cpuinfo and /sys/devices/system/cpu once and remembers. In the
 * sandbox it would find nothing, and the plainest kernels would be a hundred times slower. Not linked by name:
 * releases differ in whether they have it. */
__attribute__((constructor)) static void
look_at_processor(void)
{
	void *found = dlsym(RTLD_DEFAULT, "cpuinfo_initialize");
	bool (*initialize)(void);
	memcpy(&initialize, &found, sizeof(initialize)); /* ISO C has no cast from void * to a function */
	if (initialize != NULL)
		initialize();
}

struct tflite {
	TfLiteModel *model;
	TfLiteInterpreter *interpreter;
	TfLiteTensor *input;
	const TfLiteTensor *first, *second;
	unsigned second_cols;
	char said[128]; /* the last line that the library had to say, for the sentence */
};

static void
on_message(void *user, const char *format, va_list args)
{
	struct tflite *net = user;
	vsnprintf(net->said, sizeof(net->said), format, args);
}

static int
refuse(const struct tflite *net, struct why *why, const char *what)
{
	if (net->said[0] != '\0')
		return why_set(why, SCRY_E_MODEL, "%s (%s)", what, net->said);
	return why_set(why, SCRY_E_MODEL, "%s", what);
}

/* --- our own depthwise convolution, called by the library --------------------------------------------------- */

static TfLiteTensor *
tensor_at(TfLiteContext *context, const TfLiteIntArray *list, int index)
{
	if (list->size <= index || list->data[index] < 0 || (size_t)list->data[index] >= context->tensors_size)
		return NULL;
	return &context->tensors[list->data[index]];
}

/* The size of one side of the output and the padding before it (TensorFlow's "SAME" and "VALID"). */
static int
out_side(TfLitePadding padding, int in, int filter, int stride, int dilation, int *before)
{
	int reach = (filter - 1) * dilation + 1;
	int out = padding == kTfLitePaddingSame ? (in + stride - 1) / stride : (in - reach + stride) / stride;
	int total = (out - 1) * stride + reach - in;
	*before = total > 0 ? total / 2 : 0;
	return out;
}

static int
activation(TfLiteFusedActivation kind, struct lite_depthwise *shape)
{
	shape->min = kind == kTfLiteActNone ? -HUGE_VALF : kind == kTfLiteActReluN1To1 ? -1.f : 0.f;
	shape->max = kind == kTfLiteActRelu6 ? 6.f : kind == kTfLiteActReluN1To1 ? 1.f : HUGE_VALF;
	return kind == kTfLiteActNone || kind == kTfLiteActRelu || kind == kTfLiteActRelu6 || kind == kTfLiteActReluN1To1;
}

static int
is_picture(const TfLiteTensor *tensor)
{
	return tensor != NULL && tensor->type == kTfLiteFloat32 && tensor->dims->size == 4 && tensor->dims->data[0] == 1;
}

/* Reads the layer's shape. False for what our kernel does not do: other types, batches, several filters a channel. */
static int
depthwise_shape(TfLiteContext *context, TfLiteNode *node, struct lite_depthwise *shape)
{
	const TfLiteDepthwiseConvParams *params = node->builtin_data;
	const TfLiteTensor *in = tensor_at(context, node->inputs, 0), *filter = tensor_at(context, node->inputs, 1);
	const TfLiteTensor *bias = tensor_at(context, node->inputs, 2);
	if (params == NULL || !is_picture(in) || !is_picture(filter) || !activation(params->activation, shape))
		return 0;
	shape->in_height = in->dims->data[1];
	shape->in_width = in->dims->data[2];
	shape->channels = in->dims->data[3];
	shape->filter_height = filter->dims->data[1];
	shape->filter_width = filter->dims->data[2];
	shape->stride_y = params->stride_height;
	shape->stride_x = params->stride_width;
	shape->dilation_y = params->dilation_height_factor;
	shape->dilation_x = params->dilation_width_factor;
	if (shape->stride_y < 1 || shape->stride_x < 1 || shape->dilation_y < 1 || shape->dilation_x < 1 ||
	    shape->channels < 1 || shape->filter_height < 1 || shape->filter_width < 1 ||
	    filter->dims->data[3] != shape->channels ||
	    (bias != NULL && (bias->type != kTfLiteFloat32 || bias->bytes != (size_t)shape->channels * sizeof(float))))
		return 0;
	shape->out_height = out_side(params->padding, shape->in_height, shape->filter_height, shape->stride_y,
	                             shape->dilation_y, &shape->pad_top);
	shape->out_width = out_side(params->padding, shape->in_width, shape->filter_width, shape->stride_x,
	                            shape->dilation_x, &shape->pad_left);
	return shape->out_height > 0 && shape->out_width > 0;
}

static TfLiteStatus
depthwise_prepare(TfLiteContext *context, TfLiteNode *node)
{
	struct lite_depthwise shape;
	TfLiteTensor *out = tensor_at(context, node->outputs, 0);
	if (out == NULL || out->type != kTfLiteFloat32 || !depthwise_shape(context, node, &shape))
		return kTfLiteError;
	TfLiteIntArray *size = TfLiteIntArrayCreate(4);
	size->data[0] = 1;
	size->data[1] = shape.out_height;
	size->data[2] = shape.out_width;
	size->data[3] = shape.channels;
	return context->ResizeTensor(context, out, size); /* takes `size` */
}

static TfLiteStatus
depthwise_invoke(TfLiteContext *context, TfLiteNode *node)
{
	struct lite_depthwise shape;
	const TfLiteTensor *bias = tensor_at(context, node->inputs, 2);
	if (!depthwise_shape(context, node, &shape))
		return kTfLiteError;
	lite_depthwise(&shape, tensor_at(context, node->inputs, 0)->data.f, tensor_at(context, node->inputs, 1)->data.f,
	               bias != NULL ? bias->data.f : NULL, tensor_at(context, node->outputs, 0)->data.f);
	return kTfLiteOk;
}

static const TfLiteRegistration depthwise = {
	.prepare = depthwise_prepare, .invoke = depthwise_invoke, .builtin_code = kTfLiteBuiltinDepthwiseConv2d};

/* --- a network ----------------------------------------------------------------------------------------------- */

static int
build(struct tflite *net, const void *data, size_t size, unsigned threads, struct why *why)
{
	TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
	if (options == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	TfLiteInterpreterOptionsSetNumThreads(options, (int32_t)threads);
	TfLiteInterpreterOptionsSetErrorReporter(options, on_message, net);
	if (TfLiteInterpreterOptionsAddBuiltinOp != NULL)
		TfLiteInterpreterOptionsAddBuiltinOp(options, kTfLiteBuiltinDepthwiseConv2d, &depthwise, 1, DEPTHWISE_VERSIONS);
	net->model = TfLiteModelCreateWithErrorReporter(data, size, on_message, net);
	if (net->model != NULL)
		net->interpreter = TfLiteInterpreterCreate(net->model, options);
	TfLiteInterpreterOptionsDelete(options);
	if (net->model == NULL)
		return refuse(net, why, "not a TensorFlow Lite model, or a damaged one");
	if (net->interpreter == NULL || TfLiteInterpreterAllocateTensors(net->interpreter) != kTfLiteOk)
		return refuse(net, why, "TensorFlow Lite cannot run this model");
	return 0;
}

/* True for a tensor of floats 1 x a x b, or 1 x a x b x c where c is not 0. */
static int
is_floats(const TfLiteTensor *tensor, unsigned a, unsigned b, unsigned c)
{
	const unsigned want[4] = {1, a, b, c};
	int dims = c == 0 ? 3 : 4;
	if (tensor == NULL || TfLiteTensorType(tensor) != kTfLiteFloat32 || TfLiteTensorNumDims(tensor) != dims)
		return 0;
	size_t count = 1;
	for (int i = 0; i < dims; i++) {
		if (TfLiteTensorDim(tensor, i) != (int32_t)want[i])
			return 0;
		count *= want[i];
	}
	return TfLiteTensorByteSize(tensor) == count * sizeof(float) && TfLiteTensorData(tensor) != NULL;
}

/* Tells the two outputs apart by their shape: their order is the converter's whim, and so are their names. */
static void
find_outputs(struct tflite *net, const struct tflite_shape *shape)
{
	int32_t count = TfLiteInterpreterGetOutputTensorCount(net->interpreter);
	for (int32_t i = 0; i < count; i++) {
		const TfLiteTensor *tensor = TfLiteInterpreterGetOutputTensor(net->interpreter, i);
		if (tensor == NULL || TfLiteTensorNumDims(tensor) != 3)
			continue;
		unsigned cols = (unsigned)TfLiteTensorDim(tensor, 2);
		if (is_floats(tensor, shape->rows, shape->first_cols, 0)) {
			net->first = tensor;
		} else if ((shape->second_cols == 0 || cols == shape->second_cols) && is_floats(tensor, shape->rows, cols, 0)) {
			net->second = tensor;
			net->second_cols = cols;
		}
	}
}

static int
check(struct tflite *net, const struct tflite_shape *shape, struct why *why)
{
	if (TfLiteInterpreterGetInputTensorCount(net->interpreter) == 1)
		net->input = TfLiteInterpreterGetInputTensor(net->interpreter, 0);
	if (!is_floats(net->input, shape->side, shape->side, 3))
		return why_set(why, SCRY_E_MODEL, "another model than the one expected: its input is not a picture of %u x %u",
		               shape->side, shape->side);
	find_outputs(net, shape);
	if (net->first == NULL || net->second == NULL)
		return why_set(why, SCRY_E_MODEL, "another model than the one expected: its outputs are not two of %u rows",
		               shape->rows);
	return 0;
}

int
tflite_create(const void *data, size_t size, const struct tflite_shape *shape, unsigned threads, struct tflite **out,
              struct why *why)
{
	struct tflite *net = calloc(1, sizeof(*net));
	if (net == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	int error = build(net, data, size, threads, why);
	if (error == 0)
		error = check(net, shape, why);
	if (error < 0) {
		tflite_destroy(net);
		return error;
	}
	*out = net;
	return 0;
}

void
tflite_destroy(struct tflite *net)
{
	if (net == NULL)
		return;
	if (net->interpreter != NULL)
		TfLiteInterpreterDelete(net->interpreter);
	if (net->model != NULL)
		TfLiteModelDelete(net->model);
	free(net);
}

float *
tflite_input(struct tflite *net)
{
	return TfLiteTensorData(net->input);
}

int
tflite_run(struct tflite *net, struct why *why)
{
	net->said[0] = '\0';
	if (TfLiteInterpreterInvoke(net->interpreter) != kTfLiteOk)
		return refuse(net, why, "TensorFlow Lite failed on this picture");
	return 0;
}

const float *
tflite_first(const struct tflite *net)
{
	return TfLiteTensorData(net->first);
}

const float *
tflite_second(const struct tflite *net)
{
	return TfLiteTensorData(net->second);
}

unsigned
tflite_second_cols(const struct tflite *net)
{
	return net->second_cols;
}

const char *
tflite_version(void)
{
	return TfLiteVersion();
}
