/* lite_ssd.c - anchors and decoding of the 300 x 300 SSD. Pure; in the worker scry-lite and in unit tests. */
#include "engine/lite_ssd.h"

#include <math.h>

#define LAYERS 6
#define SCALE_MIN 0.2f
#define SCALE_MAX 0.95f

/* Liu et al., SSD (arXiv:1512.02325), section 2.2: sizes grow evenly from the lowest to the highest layer. */
static float
layer_scale(unsigned layer)
{
	return layer >= LAYERS ? 1.f : SCALE_MIN + (SCALE_MAX - SCALE_MIN) * (float)layer / (LAYERS - 1);
}

/* The shapes of a layer's anchors; returns how many. */
static unsigned
layer_shapes(unsigned layer, struct lite_anchor shapes[6])
{
	/* "reduce_boxes_in_lowest_layer": fewer shapes where the grid is fine, the first of them small. */
	static const float lowest[] = {1.f, 2.f, .5f}, others[] = {1.f, 2.f, .5f, 3.f, .3333f, 1.f};
	const float *ratios = layer == 0 ? lowest : others;
	unsigned count = layer == 0 ? 3 : 6;
	for (unsigned i = 0; i < count; i++) {
		float scale = layer_scale(layer), root = sqrtf(ratios[i]);
		if (layer == 0 && i == 0)
			scale = .1f;
		if (i == 5) /* one more square, between this layer's size and the next one's */
			scale = sqrtf(scale * layer_scale(layer + 1));
		shapes[i].width = scale * root;
		shapes[i].height = scale / root;
	}
	return count;
}

void
lite_ssd_anchors(struct lite_anchor anchors[LITE_SSD_ANCHORS])
{
	size_t n = 0;
	for (unsigned layer = 0; layer < LAYERS; layer++) {
		struct lite_anchor shapes[6];
		unsigned count = layer_shapes(layer, shapes), stride = 16u << layer;
		unsigned cells = (LITE_SSD_SIDE + stride - 1) / stride;
		for (unsigned cell = 0; cell < cells * cells; cell++) {
			for (unsigned i = 0; i < count; i++) {
				anchors[n] = shapes[i];
				anchors[n].x = ((float)(cell % cells) + .5f) / (float)cells;
				anchors[n++].y = ((float)(cell / cells) + .5f) / (float)cells;
			}
		}
	}
}

/* Box values are scaled by 10 (place) and 5 (size, logarithm): Faster R-CNN's box coder. */
static int
decode_box(const struct lite_anchor *anchor, const float *value, float box[4])
{
	float y = value[0] / 10.f * anchor->height + anchor->y, x = value[1] / 10.f * anchor->width + anchor->x;
	float height = expf(value[2] / 5.f) * anchor->height, width = expf(value[3] / 5.f) * anchor->width;
	if (!isfinite(x) || !isfinite(y) || !isfinite(width) || !isfinite(height))
		return 0;
	box[0] = x - width / 2.f;
	box[1] = y - height / 2.f;
	box[2] = width;
	box[3] = height;
	lite_clip(box);
	return box[2] > 0.f && box[3] > 0.f;
}

size_t
lite_ssd_decode(const struct lite_anchor *anchors, const float *boxes, const float *logits, unsigned classes,
                const float *thresholds, struct lite_find *finds, size_t room)
{
	size_t count = 0;
	for (size_t i = 0; i < LITE_SSD_ANCHORS && count < room; i++, logits += classes, boxes += 4) {
		unsigned best = 0;
		for (unsigned k = 1; k < classes; k++) {
			if (logits[k] > -HUGE_VALF && (best == 0 || logits[k] > logits[best]))
				best = k;
		}
		if (best == 0)
			continue;
		float score = lite_sigmoid(logits[best]);
		if (!(score >= thresholds[best]) || !decode_box(&anchors[i], boxes, finds[count].box))
			continue;
		finds[count].score = score;
		finds[count++].kind = best;
	}
	return count;
}
