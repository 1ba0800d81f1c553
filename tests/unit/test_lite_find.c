/* test_lite_find.c - anchors, decoding, suppression, blending, the depthwise layer, label maps. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lite_depthwise.h"
#include "engine/lite_face.h"
#include "engine/lite_find.h"
#include "engine/lite_labels.h"
#include "engine/lite_ssd.h"
#include "scry.h"

#define NEAR(a, b) assert_true(fabsf((a) - (b)) < 1e-5f)

static struct lite_anchor anchors[LITE_FACE_ANCHORS_MAX];

static void
check_anchor(size_t i, float x, float y, float width, float height)
{
	NEAR(anchors[i].x, x);
	NEAR(anchors[i].y, y);
	NEAR(anchors[i].width, width);
	NEAR(anchors[i].height, height);
}

/* Counts by layer: 19 x 19 x 3, then 10, 5, 3, 2 and 1 squared, six each. */
static void
test_ssd_anchors(void **state)
{
	(void)state;
	assert_int_equal(19 * 19 * 3 + (100 + 25 + 9 + 4 + 1) * 6, LITE_SSD_ANCHORS);
	lite_ssd_anchors(anchors);
	check_anchor(0, .5f / 19, .5f / 19, .1f, .1f);
	check_anchor(1, .5f / 19, .5f / 19, .2f * sqrtf(2.f), .2f / sqrtf(2.f));
	check_anchor(2, .5f / 19, .5f / 19, .2f * sqrtf(.5f), .2f / sqrtf(.5f));
	check_anchor(3, 1.5f / 19, .5f / 19, .1f, .1f);
	check_anchor(1082, 18.5f / 19, 18.5f / 19, .2f * sqrtf(.5f), .2f / sqrtf(.5f));
	check_anchor(1083, .05f, .05f, .35f, .35f);
	check_anchor(1088, .05f, .05f, sqrtf(.35f * .5f), sqrtf(.35f * .5f));
	check_anchor(1911, .5f, .5f, .95f, .95f);
	check_anchor(1914, .5f, .5f, .95f * sqrtf(3.f), .95f / sqrtf(3.f));
	check_anchor(1916, .5f, .5f, sqrtf(.95f), sqrtf(.95f));
}

static void
test_face_anchors(void **state)
{
	(void)state;
	assert_int_equal(lite_face_full.anchors, 2304);
	lite_face_anchors(&lite_face_full, anchors);
	check_anchor(0, .5f / 48, .5f / 48, 1.f, 1.f);
	check_anchor(49, 1.5f / 48, 1.5f / 48, 1.f, 1.f);
	check_anchor(2303, 47.5f / 48, 47.5f / 48, 1.f, 1.f);
	assert_int_equal(lite_face_short.anchors, 896);
	lite_face_anchors(&lite_face_short, anchors);
	check_anchor(1, .5f / 16, .5f / 16, 1.f, 1.f);
	check_anchor(2, 1.5f / 16, .5f / 16, 1.f, 1.f);
	check_anchor(511, 15.5f / 16, 15.5f / 16, 1.f, 1.f);
	check_anchor(512, .5f / 8, .5f / 8, 1.f, 1.f);
	check_anchor(895, 7.5f / 8, 7.5f / 8, 1.f, 1.f);
}

#define CLASSES 3
static float boxes[LITE_SSD_ANCHORS * 4], logits[LITE_SSD_ANCHORS * CLASSES];
static struct lite_find finds[LITE_SSD_ANCHORS];

static void
test_ssd_decode(void **state)
{
	(void)state;
	const float thresholds[CLASSES] = {0.f, .5f, .7f};
	lite_ssd_anchors(anchors);
	for (size_t i = 0; i < LITE_SSD_ANCHORS * CLASSES; i++)
		logits[i] = -9.f;
	logits[1083 * CLASSES + 1] = 1.f;
	logits[1911 * CLASSES + 2] = .5f; /* 0.62: below its threshold */
	logits[1912 * CLASSES + 0] = 9.f; /* class 0 is none of them */
	logits[5 * CLASSES + 1] = NAN;
	logits[6 * CLASSES + 2] = 2.f;
	boxes[6 * 4 + 3] = INFINITY;
	boxes[1083 * 4 + 0] = 10.f; /* one anchor height down */
	boxes[1083 * 4 + 1] = 20.f;
	boxes[1083 * 4 + 2] = 5.f * logf(.5f);
	boxes[1083 * 4 + 3] = 5.f * logf(2.f);
	size_t count = lite_ssd_decode(anchors, boxes, logits, CLASSES, thresholds, finds, LITE_SSD_ANCHORS);
	assert_int_equal(count, 1);
	assert_int_equal(finds[0].kind, 1);
	NEAR(finds[0].score, 1.f / (1.f + expf(-1.f)));
	/* Centre 0.05 + 2 x 0.35, width 0.7, height 0.175, cut at the right edge. */
	NEAR(finds[0].box[0], .4f);
	NEAR(finds[0].box[2], .6f);
	NEAR(finds[0].box[1], .05f + .35f - .0875f);
	NEAR(finds[0].box[3], .175f);
	logits[1911 * CLASSES + 2] = 1.f;
	count = lite_ssd_decode(anchors, boxes, logits, CLASSES, thresholds, finds, LITE_SSD_ANCHORS);
	assert_int_equal(count, 2);
	assert_int_equal(lite_ssd_decode(anchors, boxes, logits, CLASSES, thresholds, finds, 1), 1);
}

static float rows[LITE_FACE_ANCHORS_MAX * LITE_FACE_VALUES], faces[LITE_FACE_ANCHORS_MAX];

static void
test_face_decode(void **state)
{
	(void)state;
	const float fit[4] = {0.f, .25f, 1.f, .5f}; /* a frame twice as wide as high */
	lite_face_anchors(&lite_face_full, anchors);
	for (size_t i = 0; i < LITE_FACE_ANCHORS_MAX; i++)
		faces[i] = -200.f;
	for (size_t i = 0; i < 2; i++) { /* two that overlap, told as one between them */
		size_t at = 24 * 48 + 24;
		faces[at + i] = 2.f;
		rows[(at + i) * LITE_FACE_VALUES + 2] = 48.f;
		rows[(at + i) * LITE_FACE_VALUES + 3] = 48.f;
	}
	faces[0] = 5.f; /* beside the frame, in the black */
	rows[2] = rows[3] = 8.f;
	faces[7] = NAN;
	size_t count = lite_face_decode(&lite_face_full, anchors, rows, faces, .5f, fit, finds, LITE_SSD_ANCHORS);
	assert_int_equal(count, 1);
	NEAR(finds[0].score, lite_sigmoid(2.f));
	NEAR(finds[0].box[0], 25.f / 48 - .125f);
	NEAR(finds[0].box[1], (24.5f / 48 - .125f - .25f) * 2.f);
	NEAR(finds[0].box[2], .25f);
	NEAR(finds[0].box[3], .5f);
}

static void
test_overlap(void **state)
{
	(void)state;
	const float a[4] = {0, 0, 1, 1}, b[4] = {.5f, 0, 1, 1}, c[4] = {2, 2, 1, 1}, d[4] = {.5f, .5f, .25f, .25f};
	const float none[4] = {.5f, .5f, 0, 0};
	NEAR(lite_overlap(a, a), 1.f);
	NEAR(lite_overlap(a, b), 1.f / 3);
	NEAR(lite_overlap(a, c), 0.f);
	NEAR(lite_overlap(none, none), 0.f);
	NEAR(lite_inside(d, a), 1.f);
	NEAR(lite_inside(a, d), .0625f);
	NEAR(lite_inside(none, a), 0.f);
}

static void
test_suppress(void **state)
{
	(void)state;
	struct lite_find some[] = {
		{.box = {0, 0, 1, 1}, .score = .5f, .kind = 1},
		{.box = {.1f, 0, 1, 1}, .score = .9f, .kind = 1},
		{.box = {.1f, 0, 1, 1}, .score = .6f, .kind = 2},
		{.box = {3, 0, 1, 1}, .score = .4f, .kind = 1},
	};
	assert_int_equal(lite_suppress(some, COUNT(some), .5f), 3);
	NEAR(some[0].score, .9f);
	NEAR(some[1].score, .6f);
	NEAR(some[2].score, .4f);
	assert_int_equal(lite_suppress(NULL, 0, .5f), 0);
}

static void
test_blend(void **state)
{
	(void)state;
	struct lite_find some[] = {{.box = {0, 0, 1, 1}, .score = .25f},
	                           {.box = {.4f, 0, 1, 1}, .score = .75f},
	                           {.box = {5, 0, 1, 1}, .score = .5f}};
	assert_int_equal(lite_blend(some, COUNT(some), .3f), 2);
	NEAR(some[0].box[0], .3f); /* 0 x 0.25 + 0.4 x 0.75 */
	NEAR(some[0].score, .75f);
	NEAR(some[1].box[0], 5.f);
}

/* Against the plain definition, with odd sizes, both paddings, strides, dilation, a tail of channels, no bias. */
static float
depthwise_at(const struct lite_depthwise *s, const float *in, const float *filter, const float *bias, int y, int x,
             int c)
{
	float sum = bias != NULL ? bias[c] : 0.f;
	for (int ky = 0; ky < s->filter_height; ky++) {
		for (int kx = 0; kx < s->filter_width; kx++) {
			int iy = y * s->stride_y - s->pad_top + ky * s->dilation_y;
			int ix = x * s->stride_x - s->pad_left + kx * s->dilation_x;
			if (iy >= 0 && iy < s->in_height && ix >= 0 && ix < s->in_width)
				sum += in[(iy * s->in_width + ix) * s->channels + c] *
					filter[(ky * s->filter_width + kx) * s->channels + c];
		}
	}
	return sum < s->min ? s->min : sum > s->max ? s->max : sum;
}

static void
check_depthwise(const struct lite_depthwise *s, bool with_bias)
{
	int ins = s->in_height * s->in_width * s->channels, taps = s->filter_height * s->filter_width * s->channels;
	float *in = malloc((size_t)ins * 4), *filter = malloc((size_t)taps * 4), *bias = malloc((size_t)s->channels * 4);
	float *out = malloc((size_t)s->out_height * (size_t)s->out_width * (size_t)s->channels * 4);
	for (int i = 0; i < ins; i++)
		in[i] = (float)(i * 37 % 101) / 50.f - 1.f;
	for (int i = 0; i < taps; i++)
		filter[i] = (float)(i * 53 % 97) / 48.f - 1.f;
	for (int i = 0; i < s->channels; i++)
		bias[i] = (float)i / 10.f;
	lite_depthwise(s, in, filter, with_bias ? bias : NULL, out);
	for (int i = 0; i < s->out_height * s->out_width * s->channels; i++) {
		int pixel = i / s->channels;
		float want = depthwise_at(s, in, filter, with_bias ? bias : NULL, pixel / s->out_width, pixel % s->out_width,
		                          i % s->channels);
		assert_true(fabsf(out[i] - want) < 1e-4f);
	}
	free(in);
	free(filter);
	free(bias);
	free(out);
}

static void
test_depthwise(void **state)
{
	(void)state;
	struct lite_depthwise s = {.in_height = 7,
	                           .in_width = 5,
	                           .out_height = 7,
	                           .out_width = 5,
	                           .channels = 67,
	                           .filter_height = 3,
	                           .filter_width = 3,
	                           .stride_y = 1,
	                           .stride_x = 1,
	                           .dilation_y = 1,
	                           .dilation_x = 1,
	                           .pad_top = 1,
	                           .pad_left = 1,
	                           .min = 0.f,
	                           .max = 6.f};
	check_depthwise(&s, true);
	check_depthwise(&s, false);
	s.min = -HUGE_VALF;
	s.max = HUGE_VALF;
	s.stride_y = s.stride_x = 2;
	s.out_height = 4;
	s.out_width = 3;
	check_depthwise(&s, true);
	s.dilation_y = s.dilation_x = 2;
	s.pad_top = s.pad_left = 2;
	check_depthwise(&s, true);
	s = (struct lite_depthwise){.in_height = 5,
	                            .in_width = 9,
	                            .out_height = 1,
	                            .out_width = 5,
	                            .channels = 32,
	                            .filter_height = 5,
	                            .filter_width = 5,
	                            .stride_y = 1,
	                            .stride_x = 1,
	                            .dilation_y = 1,
	                            .dilation_x = 1,
	                            .min = -1.f,
	                            .max = 1.f};
	check_depthwise(&s, true);
}

static void
test_labels(void **state)
{
	(void)state;
	static const char good[] = "???\nPerson\r\n Cat \nComputer mouse";
	struct lite_labels labels = {0};
	assert_int_equal(lite_labels_parse(good, strlen(good), &labels), 0);
	assert_int_equal(labels.count, 4);
	assert_string_equal(labels.name[1], "Person");
	assert_string_equal(labels.name[2], "Cat");
	assert_string_equal(labels.name[3], "Computer mouse");
	lite_labels_clear(&labels);
	assert_int_equal(labels.count, 0);
	assert_int_equal(lite_labels_parse("", 0, &labels), SCRY_E_MODEL);
	assert_int_equal(lite_labels_parse("a\n\nb\n", 5, &labels), SCRY_E_MODEL);
	assert_int_equal(lite_labels_parse("\xff\n", 2, &labels), SCRY_E_MODEL);
	assert_int_equal(lite_labels_parse("a\0b", 3, &labels), SCRY_E_MODEL);
	assert_null(labels.text);
	char many[65 * 2];
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 == 0 ? 'x' : '\n';
	assert_int_equal(lite_labels_parse(many, sizeof(many), &labels), SCRY_E_MODEL);
	assert_int_equal(lite_labels_parse(many, sizeof(many) - 2, &labels), 0);
	assert_int_equal(labels.count, 64);
	lite_labels_clear(&labels);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ssd_anchors), cmocka_unit_test(test_face_anchors), cmocka_unit_test(test_ssd_decode),
		cmocka_unit_test(test_face_decode), cmocka_unit_test(test_overlap),      cmocka_unit_test(test_suppress),
		cmocka_unit_test(test_blend),       cmocka_unit_test(test_depthwise),    cmocka_unit_test(test_labels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
