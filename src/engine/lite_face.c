/* lite_face.c - anchors and decoding of the face detectors. Pure; in the worker scry-lite and in unit tests. */
#include "engine/lite_face.h"

#include <math.h>

#define BLEND_OVERLAP 0.3f /* min_suppression_threshold of face_detection.pbtxt */
#define LOGIT_MAX 100.f    /* score_clipping_thresh */

const struct lite_face lite_face_full = {.name = "full range", .side = 192, .anchors = 48 * 48};
const struct lite_face lite_face_short = {.name = "short range", .side = 128, .anchors = 16 * 16 * 2 + 8 * 8 * 6};

static struct lite_anchor *
add_grid(struct lite_anchor *next, unsigned cells, unsigned copies)
{
	for (unsigned cell = 0; cell < cells * cells; cell++) {
		for (unsigned i = 0; i < copies; i++, next++) {
			/* fixed_anchor_size: a box value is in parts of the whole input. */
			next->x = ((float)(cell % cells) + .5f) / (float)cells;
			next->y = ((float)(cell / cells) + .5f) / (float)cells;
			next->width = next->height = 1.f;
		}
	}
	return next;
}

void
lite_face_anchors(const struct lite_face *face, struct lite_anchor *anchors)
{
	if (face == &lite_face_full) {
		add_grid(anchors, 48, 1); /* stride 4, one anchor a cell */
	} else {
		anchors = add_grid(anchors, 16, 2); /* stride 8 */
		add_grid(anchors, 8, 6);            /* stride 16 three times over, two anchors each */
	}
}

/* From parts of the input to parts of the frame; what lies wholly beside the frame is dropped. */
static size_t
to_frame(struct lite_find *finds, size_t count, const float fit[4])
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		struct lite_find find = finds[i];
		find.box[0] = (find.box[0] - fit[0]) / fit[2];
		find.box[1] = (find.box[1] - fit[1]) / fit[3];
		find.box[2] /= fit[2];
		find.box[3] /= fit[3];
		lite_clip(find.box);
		if (find.box[2] > 0.f && find.box[3] > 0.f)
			finds[kept++] = find;
	}
	return kept;
}

size_t
lite_face_decode(const struct lite_face *face, const struct lite_anchor *anchors, const float *rows,
                 const float *logits, float threshold, const float fit[4], struct lite_find *finds, size_t room)
{
	size_t count = 0;
	float side = (float)face->side;
	for (size_t i = 0; i < face->anchors && count < room; i++, rows += LITE_FACE_VALUES) {
		float score = lite_sigmoid(fminf(fmaxf(logits[i], -LOGIT_MAX), LOGIT_MAX));
		if (!(score >= threshold))
			continue;
		float width = rows[2] / side, height = rows[3] / side;
		float x = rows[0] / side + anchors[i].x - width / 2.f, y = rows[1] / side + anchors[i].y - height / 2.f;
		if (!isfinite(x) || !isfinite(y) || !(width > 0.f) || !(height > 0.f) || width > 4.f || height > 4.f)
			continue;
		finds[count++] = (struct lite_find){.box = {x, y, width, height}, .score = score};
	}
	return to_frame(finds, lite_blend(finds, count, BLEND_OVERLAP), fit);
}
