/* child_lite_eyes.h - the detectors of scry-lite: what to load, how to run them on a frame, what to believe.
 *
 * Used by child_lite.c and by the test program that dumps tensors, in one process, on one thread; the face detectors
 * run on a second one while the object detector runs on the caller's.
 */
#ifndef ENGINE_CHILD_LITE_EYES_H
#define ENGINE_CHILD_LITE_EYES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"
#include "engine/child_tflite.h"
#include "engine/lite_face.h"
#include "engine/lite_judge.h"
#include "engine/lite_labels.h"
#include "engine/lite_look.h"
#include "engine/lite_resize.h"
#include "engine/lite_ssd.h"

/* One face detector, or none when `net` is NULL. */
struct eyes_face {
	const struct lite_face *kind;
	struct tflite *net;
	struct lite_anchor anchors[LITE_FACE_ANCHORS_MAX];
	struct lite_finds finds;
};

struct eyes {
	struct tflite *objects; /* NULL: no object detector */
	struct lite_labels labels;
	float thresholds[LITE_SSD_CLASSES_MAX];
	struct lite_anchor anchors[LITE_SSD_ANCHORS];
	struct eyes_face full, close;
	bool threads; /* a second thread may be used */
};

/* What was believed in one frame. */
struct eyes_seen {
	struct lite_finds objects, faces;
};

/* Loads the object detector with its label map. 0, or an error with the sentence in *why and no object detector. */
int eyes_load_objects(struct eyes *eyes, const void *model, size_t model_size, const void *labels, size_t labels_size,
                      struct why *why);
/* Loads a face detector of either kind. 0, or an error with the sentence in *why. */
int eyes_load_face(struct eyes *eyes, const void *model, size_t model_size, struct why *why);
void eyes_unload(struct eyes *eyes);

/* Looks at a frame. Blocks for some 25 ms. 0, SCRY_E_MEMORY or SCRY_E_MODEL with the sentence in *why. */
int eyes_look(struct eyes *eyes, const struct lite_image *image, const struct lite_look *look, struct eyes_seen *out,
              struct why *why);

#endif
