/* lite_find.h - what a detector found, and the suppression of what it found twice. Pure functions.
 *
 * Used by the decoders lite_ssd.c and lite_face.c and by everything in scry-lite that talks about findings. Boxes are
 * x, y, width, height from the top left, in parts of the frame (0 to 1).
 */
#ifndef ENGINE_LITE_FIND_H
#define ENGINE_LITE_FIND_H

#include <stddef.h>

struct lite_find {
	float box[4];  /* x, y, width, height */
	float score;   /* 0 to 1 */
	unsigned kind; /* class number; 0 for faces */
};

/* A place of a detector's grid that its answers are relative to, in parts of its input. */
struct lite_anchor {
	float x, y; /* centre */
	float width, height;
};

/* 1 / (1 + e^-x) */
float lite_sigmoid(float x);

/* Area of the intersection over area of the union; 0 for boxes without area. */
float lite_overlap(const float a[4], const float b[4]);

/* The part of `inner` that lies in `outer`, 0 to 1. */
float lite_inside(const float inner[4], const float outer[4]);

/* Best score first; equal scores stay in order of place, so that equal frames give equal answers. */
void lite_sort(struct lite_find *finds, size_t count);

/* Greedy non-maximum suppression within each kind: sorts, then keeps a finding when it overlaps no better one of its
 * kind by more than `overlap`. Returns how many are kept, at the front. */
size_t lite_suppress(struct lite_find *finds, size_t count, float overlap);

/* The same for one kind, but a kept finding's box is the mean of all that it stands for, weighted by score:
 * "blending" of BlazeFace (arXiv:1907.05047, section 3.4), MediaPipe's NonMaxSuppressionCalculator WEIGHTED. */
size_t lite_blend(struct lite_find *finds, size_t count, float overlap);

/* Cuts a box to the frame. */
void lite_clip(float box[4]);

#endif
