/* lite_face.h - the face detector's numbers to findings. Pure functions.
 *
 * Two networks of MediaPipe (BlazeFace, arXiv:1907.05047): full range (192 x 192, faces within some five metres) and
 * short range (128 x 128, within two). Input: the frame with its aspect kept, black (0) beside it, pixels / 127.5 -
 * 1. Constants are those of MediaPipe's face_detection.pbtxt, face_detection_full_range.pbtxt and
 * ..._short_range.pbtxt.
 */
#ifndef ENGINE_LITE_FACE_H
#define ENGINE_LITE_FACE_H

#include "engine/lite_find.h"

#define LITE_FACE_ANCHORS_MAX 2304
#define LITE_FACE_VALUES 16 /* of a row: x, y, width, height of the box, then six points that are not used here */

struct lite_face {
	const char *name;
	unsigned side;    /* of the input */
	unsigned anchors; /* how many */
};

extern const struct lite_face lite_face_full, lite_face_short;

/* Fills `anchors` with face->anchors places. */
void lite_face_anchors(const struct lite_face *face, struct lite_anchor *anchors);

/* Findings with a score of at least `threshold`, at most `room`, blended, best first, boxes in parts of the frame
 * and cut to it. `fit` is the part of the input that the frame covers: x, y, width, height (see lite_resize_fit()). */
size_t lite_face_decode(const struct lite_face *face, const struct lite_anchor *anchors, const float *rows,
                        const float *logits, float threshold, const float fit[4], struct lite_find *finds, size_t room);

#endif
