/* lite_ssd.h - the object detector's numbers to findings. Pure functions.
 *
 * The network is MediaPipe's object_detection_ssd_mobilenetv2_oidv4: a picture of 300 x 300 stretched to it, pixels
 * / 127.5 - 1; for each of 1,917 anchors 4 box values and a logit for each class, class 0 being none of them.
 * Constants are those of MediaPipe's graph object_detection_oid_v4_cpu.pbtxt, which are TensorFlow's
 * ssd_anchor_generator's usual ones.
 */
#ifndef ENGINE_LITE_SSD_H
#define ENGINE_LITE_SSD_H

#include "engine/lite_find.h"

#define LITE_SSD_SIDE 300
#define LITE_SSD_ANCHORS 1917
#define LITE_SSD_CLASSES_MAX 64

/* Six grids of ceil(300 / stride) cells for strides 16, 32, ..., 512: three shapes in the lowest, six in each other. */
void lite_ssd_anchors(struct lite_anchor anchors[LITE_SSD_ANCHORS]);

/* Findings of class k whose score is at least thresholds[k] (k >= 1), at most `room`, best of each anchor only,
 * boxes cut to the frame. `boxes` is ANCHORS x 4 (y, x, height, width, relative to the anchor), `logits` ANCHORS x
 * classes. Values that are not numbers are no findings. */
size_t lite_ssd_decode(const struct lite_anchor *anchors, const float *boxes, const float *logits, unsigned classes,
                       const float *thresholds, struct lite_find *finds, size_t room);

#endif
