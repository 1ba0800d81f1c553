/* lite_tensors.c - runs the detectors of scry-lite on a picture and writes the raw tensors and what was decoded of
 * them.
 *
 *     lite_tensors OBJECTS.tflite LABELS.txt FULL.tflite SHORT.tflite PICTURE.ppm FOLDER
 *
 * For tests/model/lite_reference.py, which decodes the same tensors by itself and compares. No part of the product.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/child_lite_eyes.h"

#define LEAST .30f

static struct eyes eyes;
static struct lite_find finds[LITE_FACE_ANCHORS_MAX];
static const char *folder;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "lite_tensors: %s: %s\n", what, why);
	exit(1);
}

static void *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		die(path, strerror(errno));
	fseek(file, 0, SEEK_END);
	*size = (size_t)ftell(file);
	rewind(file);
	void *data = malloc(*size + 1);
	if (data == NULL || fread(data, 1, *size, file) != *size)
		die(path, "cannot be read");
	fclose(file);
	return data;
}

static FILE *
create(const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	if (file == NULL)
		die(path, strerror(errno));
	return file;
}

static void
write_tensor(const char *name, const float *data, size_t count)
{
	FILE *file = create(name);
	if (fwrite(data, sizeof(*data), count, file) != count)
		die(name, strerror(errno));
	fclose(file);
}

static struct lite_image
read_picture(const char *path)
{
	struct lite_image image = {0};
	size_t size;
	int head = 0;
	char *data = read_file(path, &size);
	data[size] = '\0';
	if (sscanf(data, "P6 %u %u 255%n", &image.width, &image.height, &head) != 2 || head == 0 ||
	    size < (size_t)head + 1 + (size_t)image.width * image.height * 3)
		die(path, "not a PPM as Pillow writes it");
	image.rgb = (const uint8_t *)data + head + 1;
	image.stride = (size_t)image.width * 3;
	return image;
}

static void
write_finds(FILE *out, const char *what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s %u %.7f %.7f %.7f %.7f %.7f\n", what, finds[i].kind, finds[i].score, finds[i].box[0],
		        finds[i].box[1], finds[i].box[2], finds[i].box[3]);
}

static void
dump_objects(const struct lite_image *image, FILE *out)
{
	float thresholds[LITE_SSD_CLASSES_MAX];
	struct why why = {""};
	unsigned classes = tflite_second_cols(eyes.objects);
	const struct lite_rect all = {.width = LITE_SSD_SIDE, .height = LITE_SSD_SIDE};
	lite_resize_input(image, tflite_input(eyes.objects), LITE_SSD_SIDE, &all);
	write_tensor("objects_input", tflite_input(eyes.objects), (size_t)LITE_SSD_SIDE * LITE_SSD_SIDE * 3);
	if (tflite_run(eyes.objects, &why) < 0)
		die("objects", why.text);
	write_tensor("objects_boxes", tflite_first(eyes.objects), LITE_SSD_ANCHORS * 4);
	write_tensor("objects_logits", tflite_second(eyes.objects), (size_t)LITE_SSD_ANCHORS * classes);
	for (unsigned i = 0; i < classes; i++)
		thresholds[i] = LEAST;
	size_t count = lite_ssd_decode(eyes.anchors, tflite_first(eyes.objects), tflite_second(eyes.objects), classes,
	                               thresholds, finds, LITE_SSD_ANCHORS);
	write_finds(out, "objects", lite_suppress(finds, count, .5f));
}

static void
dump_faces(struct eyes_face *face, const struct lite_image *image, const char *what, FILE *out)
{
	char name[64];
	struct why why = {""};
	float side = (float)face->kind->side;
	struct lite_rect rect = lite_resize_fit(image->width, image->height, face->kind->side);
	float fit[4] = {(float)rect.x / side, (float)rect.y / side, (float)rect.width / side, (float)rect.height / side};
	lite_resize_input(image, tflite_input(face->net), face->kind->side, &rect);
	if (tflite_run(face->net, &why) < 0)
		die(what, why.text);
	snprintf(name, sizeof(name), "%s_rows", what);
	write_tensor(name, tflite_first(face->net), (size_t)face->kind->anchors * LITE_FACE_VALUES);
	snprintf(name, sizeof(name), "%s_logits", what);
	write_tensor(name, tflite_second(face->net), face->kind->anchors);
	snprintf(name, sizeof(name), "%s_fit", what);
	write_tensor(name, fit, 4);
	size_t count = lite_face_decode(face->kind, face->anchors, tflite_first(face->net), tflite_second(face->net), LEAST,
	                                fit, finds, LITE_FACE_ANCHORS_MAX);
	write_finds(out, what, count);
}

int
main(int argc, char **argv)
{
	struct why why = {""};
	size_t size[4];
	void *file[4];
	if (argc != 7)
		die("usage", "OBJECTS.tflite LABELS.txt FULL.tflite SHORT.tflite PICTURE.ppm FOLDER");
	for (int i = 0; i < 4; i++)
		file[i] = read_file(argv[1 + i], &size[i]);
	struct lite_image image = read_picture(argv[5]);
	folder = argv[6];
	if (eyes_load_objects(&eyes, file[0], size[0], file[1], size[1], &why) < 0 ||
	    eyes_load_face(&eyes, file[2], size[2], &why) < 0 || eyes_load_face(&eyes, file[3], size[3], &why) < 0)
		die("models", why.text);
	FILE *out = create("decoded");
	dump_objects(&image, out);
	dump_faces(&eyes.full, &image, "full", out);
	dump_faces(&eyes.close, &image, "short", out);
	fclose(out);
	eyes_unload(&eyes);
	return 0;
}
