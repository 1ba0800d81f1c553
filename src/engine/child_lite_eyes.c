/* child_lite_eyes.c - running the detectors. In the worker scry-lite; owns the networks, borrows the models' bytes.
 *
 * Each network runs on one thread: TensorFlow Lite's pool waits spinning, and on a machine that is busy two threads
 * were measured to take 280 ms for what one does in 62. Two networks beside each other do not wait for one another.
 */
#include "engine/child_lite_eyes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "scry.h"

#define OVERLAP 0.5f     /* of two findings of one class: TensorFlow's usual threshold of suppression */
#define SMALLEST_SIDE 32 /* pixels; what is smaller is no picture that a detector was trained on */
#define SHRINK_FROM 600  /* pixels of the shorter side from which one smaller copy is made for all networks */

static const struct tflite_shape objects_shape = {.side = LITE_SSD_SIDE, .rows = LITE_SSD_ANCHORS, .first_cols = 4};

int
eyes_load_objects(struct eyes *eyes, const void *model, size_t model_size, const void *labels, size_t labels_size,
                  struct why *why)
{
	struct tflite *net;
	int error = lite_labels_parse(labels, labels_size, &eyes->labels);
	if (error < 0)
		return why_set(why, error, "the label map is damaged");
	error = tflite_create(model, model_size, &objects_shape, 1, &net, why);
	if (error == 0 && tflite_second_cols(net) != eyes->labels.count) {
		error = why_set(why, SCRY_E_MODEL, "the model has %u classes and the label map %u", tflite_second_cols(net),
		                eyes->labels.count);
		tflite_destroy(net);
	}
	if (error < 0) {
		lite_labels_clear(&eyes->labels);
		return error;
	}
	for (unsigned i = 0; i < eyes->labels.count; i++)
		eyes->thresholds[i] = lite_judge_least(eyes->labels.name[i]);
	lite_ssd_anchors(eyes->anchors);
	tflite_destroy(eyes->objects);
	eyes->objects = net;
	return 0;
}

int
eyes_load_face(struct eyes *eyes, const void *model, size_t model_size, struct why *why)
{
	struct eyes_face *const faces[] = {&eyes->full, &eyes->close};
	const struct lite_face *const kinds[] = {&lite_face_full, &lite_face_short};
	int error = 0;
	for (size_t i = 0; i < 2; i++) {
		struct tflite_shape shape = {
			.side = kinds[i]->side, .rows = kinds[i]->anchors, .first_cols = LITE_FACE_VALUES, .second_cols = 1};
		struct tflite *net;
		error = tflite_create(model, model_size, &shape, 1, &net, why);
		if (error == 0) {
			tflite_destroy(faces[i]->net);
			faces[i]->net = net;
			faces[i]->kind = kinds[i];
			lite_face_anchors(kinds[i], faces[i]->anchors);
			return 0;
		}
	}
	return error;
}

void
eyes_unload(struct eyes *eyes)
{
	tflite_destroy(eyes->close.net);
	tflite_destroy(eyes->full.net);
	tflite_destroy(eyes->objects);
	lite_labels_clear(&eyes->labels);
	eyes->close.net = eyes->full.net = eyes->objects = NULL;
}

static int
find_objects(struct eyes *eyes, const struct lite_image *image, struct lite_finds *out, struct why *why)
{
	static struct lite_find finds[LITE_SSD_ANCHORS];
	const struct lite_rect all = {.width = LITE_SSD_SIDE, .height = LITE_SSD_SIDE};
	out->count = 0;
	if (eyes->objects == NULL)
		return 0;
	int error = lite_resize_input(image, tflite_input(eyes->objects), LITE_SSD_SIDE, &all);
	if (error < 0)
		return why_set(why, error, "out of memory");
	error = tflite_run(eyes->objects, why);
	if (error < 0)
		return error;
	size_t count = lite_ssd_decode(eyes->anchors, tflite_first(eyes->objects), tflite_second(eyes->objects),
	                               eyes->labels.count, eyes->thresholds, finds, LITE_SSD_ANCHORS);
	count = lite_suppress(finds, count, OVERLAP);
	out->count = count < LITE_FINDS_MAX ? count : LITE_FINDS_MAX;
	memcpy(out->find, finds, out->count * sizeof(*finds));
	return 0;
}

static int
find_faces(struct eyes_face *face, const struct lite_image *image, struct why *why)
{
	static struct lite_find finds[LITE_FACE_ANCHORS_MAX];
	face->finds.count = 0;
	if (face->net == NULL)
		return 0;
	float side = (float)face->kind->side;
	struct lite_rect rect = lite_resize_fit(image->width, image->height, face->kind->side);
	float fit[4] = {(float)rect.x / side, (float)rect.y / side, (float)rect.width / side, (float)rect.height / side};
	int error = lite_resize_input(image, tflite_input(face->net), face->kind->side, &rect);
	if (error < 0)
		return why_set(why, error, "out of memory");
	error = tflite_run(face->net, why);
	if (error < 0)
		return error;
	size_t count = lite_face_decode(face->kind, face->anchors, tflite_first(face->net), tflite_second(face->net),
	                                LITE_FACE_LEAST, fit, finds, LITE_FACE_ANCHORS_MAX);
	face->finds.count = count < LITE_FINDS_MAX ? count : LITE_FINDS_MAX;
	memcpy(face->finds.find, finds, face->finds.count * sizeof(*finds));
	return 0;
}

/* The work of the second thread; nothing else touches the face detectors meanwhile. */
struct faces_job {
	struct eyes *eyes;
	const struct lite_image *image;
	struct why why;
	int error;
};

static void *
run_faces(void *user)
{
	struct faces_job *job = user;
	job->error = find_faces(&job->eyes->full, job->image, &job->why);
	if (job->error == 0)
		job->error = find_faces(&job->eyes->close, job->image, &job->why);
	return NULL;
}

static int
run_all(struct eyes *eyes, const struct lite_image *image, struct lite_finds *objects, struct why *why)
{
	struct faces_job job = {.eyes = eyes, .image = image};
	pthread_t thread;
	bool faces = eyes->full.net != NULL || eyes->close.net != NULL;
	bool beside = faces && eyes->threads && pthread_create(&thread, NULL, run_faces, &job) == 0;
	int error = find_objects(eyes, image, objects, why);
	if (beside)
		pthread_join(thread, NULL);
	else
		run_faces(&job);
	if (error == 0 && job.error < 0) {
		*why = job.why;
		error = job.error;
	}
	return error;
}

/* A copy with the shorter side between 300 and 600 pixels, so that a large frame is read once and not three times.
 * 0 with *copy->rgb to be freed (or NULL: the frame is small enough), or SCRY_E_MEMORY. */
static int
shrink(const struct lite_image *image, struct lite_image *copy, uint8_t **pixels)
{
	unsigned side = image->width < image->height ? image->width : image->height, by = side / (SHRINK_FROM / 2);
	*copy = *image;
	*pixels = NULL;
	if (side < SHRINK_FROM)
		return 0;
	copy->width = image->width / by;
	copy->height = image->height / by;
	copy->stride = (size_t)copy->width * 3;
	*pixels = malloc(copy->stride * copy->height);
	if (*pixels == NULL)
		return SCRY_E_MEMORY;
	copy->rgb = *pixels;
	return lite_resize(image, *pixels, copy->width, copy->height);
}

int
eyes_look(struct eyes *eyes, const struct lite_image *image, const struct lite_look *look, struct eyes_seen *out,
          struct why *why)
{
	struct lite_image copy;
	uint8_t *pixels;
	out->objects.count = out->faces.count = 0;
	if (image->width < SMALLEST_SIDE || image->height < SMALLEST_SIDE || look->kind == LITE_BLANK)
		return 0;
	int error = shrink(image, &copy, &pixels);
	if (error < 0)
		why_set(why, error, "out of memory");
	else
		error = run_all(eyes, &copy, &out->objects, why);
	free(pixels);
	if (error < 0)
		return error;
	lite_judge_faces(&eyes->full.finds, eyes->full.net != NULL, &eyes->close.finds, eyes->close.net != NULL,
	                 &out->objects, eyes->labels.name, &out->faces);
	lite_judge_objects(&out->objects, eyes->labels.name, &out->faces, look);
	return 0;
}
