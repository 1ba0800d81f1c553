/* child_lite.c - the program scry-lite: sees with TensorFlow Lite, reads with Tesseract, and says it.
 *
 * Runs in the worker, called by the loop in child_main.c; owns the detectors and one reader a language for the life
 * of the process. The prompt and max_tokens of a question are not used: there is no language model here, the
 * sentence is made of what was found.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/child_engine.h"
#include "engine/child_lite_eyes.h"
#include "engine/child_tesseract.h"
#include "engine/lite_say.h"
#include "engine/lite_text.h"
#include "scry.h"
#include "wire/child.h"

struct reader {
	char language[PROTO_NAME];
	struct tesseract *tesseract;
};

static struct lite {
	struct eyes eyes;
	struct reader readers[CHILD_FILES];
	unsigned reader_count;
} lite;

/* --- loading ------------------------------------------------------------------------------------------------ */

static const struct child_file *
file_of(const struct child_setup *setup, enum proto_file_kind kind)
{
	for (unsigned i = 0; i < setup->file_count; i++) {
		if (setup->files[i].kind == kind)
			return &setup->files[i];
	}
	return NULL;
}

static void
load_eyes(const struct child_setup *setup)
{
	const struct child_file *model = file_of(setup, PROTO_FILE_OBJECTS), *labels = file_of(setup, PROTO_FILE_LABELS);
	struct why why;
	if (model != NULL && labels == NULL)
		child_log(SCRY_LOG_WARN, "%s needs its label map; going on without it", model->name);
	else if (model != NULL &&
	         eyes_load_objects(&lite.eyes, model->data, model->size, labels->data, labels->size, &why) < 0)
		child_log(SCRY_LOG_WARN, "%s: %s; going on without it", model->name, why.text);
	for (unsigned i = 0; i < setup->file_count; i++) {
		const struct child_file *file = &setup->files[i];
		if (file->kind == PROTO_FILE_FACE && eyes_load_face(&lite.eyes, file->data, file->size, &why) < 0)
			child_log(SCRY_LOG_WARN, "%s: %s; going on without it", file->name, why.text);
	}
}

/* Runs beside load_eyes(), for reading takes as long to load as seeing. Says nothing itself: the wire is the main
 * thread's. */
struct readers_job {
	const struct child_setup *setup;
	struct why why[CHILD_FILES];
	int error[CHILD_FILES];
};

static void *
load_readers(void *user)
{
	struct readers_job *job = user;
	for (unsigned i = 0; i < job->setup->file_count; i++) {
		const struct child_file *file = &job->setup->files[i];
		struct reader *reader = &lite.readers[lite.reader_count];
		if (file->kind != PROTO_FILE_TESSDATA)
			continue;
		job->error[i] = tesseract_create(file->data, file->size, file->name, &reader->tesseract, &job->why[i]);
		if (job->error[i] < 0)
			continue;
		str_copy(reader->language, sizeof(reader->language), file->name);
		lite.reader_count++;
	}
	return NULL;
}

static void
load_all(const struct child_setup *setup)
{
	static struct readers_job job;
	pthread_t thread;
	job.setup = setup;
	bool beside = setup->threads > 1 && pthread_create(&thread, NULL, load_readers, &job) == 0;
	load_eyes(setup);
	if (beside)
		pthread_join(thread, NULL);
	else
		load_readers(&job);
	for (unsigned i = 0; i < setup->file_count; i++) {
		if (job.error[i] < 0)
			child_log(SCRY_LOG_WARN, "%s; going on without it", job.why[i].text);
	}
}

static void
name_model(char *to, size_t size)
{
	char part[PROTO_TEXT] = "";
	const struct eyes *eyes = &lite.eyes;
	const char *faces = eyes->full.net != NULL && eyes->close.net != NULL ? "BlazeFace full and short range" :
		eyes->full.net != NULL                                            ? "BlazeFace full range" :
		eyes->close.net != NULL                                           ? "BlazeFace short range" :
																			"";
	if (eyes->objects != NULL || faces[0] != '\0')
		snprintf(part, sizeof(part), "%s%s%s (TensorFlow Lite %s)", eyes->objects != NULL ? "SSD MobileNetV2" : "",
		         eyes->objects != NULL && faces[0] != '\0' ? ", " : "", faces, tflite_version());
	snprintf(to, size, "%s%s", part, part[0] != '\0' && lite.reader_count > 0 ? ", " : "");
	for (unsigned i = 0; i < lite.reader_count; i++) {
		size_t used = strlen(to);
		if (i == 0)
			snprintf(to + used, size - used, "Tesseract %s %s", tesseract_version(), lite.readers[i].language);
		else
			snprintf(to + used, size - used, "+%s", lite.readers[i].language);
	}
}

static int
lite_load(const struct child_setup *setup, struct proto_ready *ready, char *sentence)
{
	lite.eyes.threads = setup->threads > 1;
	load_all(setup);
	ready->parts = (lite.eyes.objects != NULL ? PROTO_PART_OBJECTS : 0) |
		(lite.eyes.full.net != NULL || lite.eyes.close.net != NULL ? PROTO_PART_FACES : 0) |
		(lite.reader_count > 0 ? PROTO_PART_TEXT : 0);
	if (ready->parts == 0) {
		str_copy(sentence, PROTO_SENTENCE,
		         "none of the lite tier's files can be used; get them with: scry pull lite, and: apt install "
		         "tesseract-ocr-eng");
		return SCRY_E_MODEL;
	}
	name_model(ready->model, sizeof(ready->model));
	return 0;
}

/* --- one picture -------------------------------------------------------------------------------------------- */

static void
send_look(uint32_t request, const struct lite_look *look)
{
	child_item(request, PROTO_ITEM_PICTURE, look->kind_p, lite_kind_name(look->kind), NULL);
	child_item(request, PROTO_ITEM_BRIGHTNESS, look->measure.brightness, NULL, NULL);
	for (size_t i = 0; i < LITE_COLORS && look->colors[i].name != NULL; i++)
		child_item(request, PROTO_ITEM_COLOR, look->colors[i].share, look->colors[i].name, NULL);
}

static void
send_seen(uint32_t request, const struct eyes_seen *seen)
{
	for (size_t i = 0; i < seen->objects.count; i++) {
		const struct lite_find *find = &seen->objects.find[i];
		child_item(request, PROTO_ITEM_OBJECT, find->score, lite.eyes.labels.name[find->kind], find->box);
	}
	for (size_t i = 0; i < seen->faces.count; i++)
		child_item(request, PROTO_ITEM_FACE, seen->faces.find[i].score, "face", seen->faces.find[i].box);
}

static void
send_words(uint32_t request, const struct lite_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		child_item(request, PROTO_ITEM_WORD, words->word[i].score, words->word[i].text, words->word[i].box);
}

static bool
is_cancelled(void *user)
{
	return child_cancelled(*(const uint32_t *)user);
}

/* The reader of a language, named by `size` characters; NULL when it is not there. */
static struct tesseract *
reader_of(const char *language, size_t size)
{
	for (unsigned i = 0; i < lite.reader_count; i++) {
		if (strlen(lite.readers[i].language) == size && memcmp(lite.readers[i].language, language, size) == 0)
			return lite.readers[i].tesseract;
	}
	return NULL;
}

/* A photo is read where it looks like writing, region by region; anything else as a whole. */
static int
read_once(struct tesseract *reader, const struct lite_image *image, const struct child_question *question,
          enum lite_kind kind, struct lite_words *out, struct why *why)
{
	uint32_t request = question->request;
	struct lite_rect regions[LITE_REGIONS_MAX];
	size_t count = 0;
	if (kind != LITE_PHOTO)
		return tesseract_read(reader, image, kind != LITE_PAGE, is_cancelled, &request, out, why);
	int error = lite_text_regions(image, regions, &count);
	if (error < 0)
		return why_set(why, error, "out of memory");
	for (size_t i = 0; i < count && error == 0; i++) {
		const struct lite_rect *at = &regions[i];
		struct lite_image part = {.rgb = image->rgb + at->y * image->stride + 3 * (size_t)at->x,
		                          .width = at->width,
		                          .height = at->height,
		                          .stride = image->stride};
		struct lite_words words = {0};
		error = tesseract_read(reader, &part, true, is_cancelled, &request, &words, why);
		if (error == 0 && lite_words_append(out, &words, at, image->width, image->height) < 0)
			error = why_set(why, SCRY_E_MEMORY, "out of memory");
		lite_words_clear(&words);
	}
	return error;
}

/* Reads with each of the languages ("eng+deu"); the reading with more confidence stays. */
static int
read_languages(const struct lite_image *image, const struct child_question *question, enum lite_kind kind,
               struct lite_words *out, struct why *why)
{
	const char *language = question->language;
	while (*language != '\0') {
		size_t size = strcspn(language, "+");
		struct lite_words words = {0};
		struct tesseract *reader = reader_of(language, size);
		if (reader == NULL)
			return why_set(why, SCRY_E_UNAVAILABLE,
			               "no data to read '%.*s' with; install it: apt install "
			               "tesseract-ocr-%.*s",
			               (int)size, language, (int)size, language);
		int error = read_once(reader, image, question, kind, &words, why);
		lite_words_filter(&words, kind);
		if (error == 0 && lite_words_weight(&words) > lite_words_weight(out)) {
			lite_words_clear(out);
			*out = words;
			words.word = NULL;
		}
		lite_words_clear(&words);
		if (error < 0)
			return error;
		language += size + (language[size] == '+');
	}
	if (kind != LITE_PAGE)
		lite_words_order(out);
	return 0;
}

static int
look_at(const struct lite_image *image, struct lite_look *look, struct eyes_seen *seen, struct why *why)
{
	int error = lite_look(image, look);
	if (error < 0)
		return why_set(why, error, "out of memory");
	return eyes_look(&lite.eyes, image, look, seen, why);
}

/* Reads when that is wanted, possible, and the picture looks as if there were something. */
static int
read_text(const struct lite_image *image, const struct child_question *question, struct lite_scene *scene,
          struct lite_words *words, struct why *why)
{
	scene->reading = LITE_READ_NOT;
	if ((question->flags & PROTO_DESCRIBE_NO_TEXT) != 0 || !lite_look_has_text(scene->look))
		return 0;
	scene->reading = lite.reader_count == 0 ? LITE_READ_NO_DATA : LITE_READ;
	return lite.reader_count == 0 ? 0 : read_languages(image, question, scene->look->kind, words, why);
}

static int
look_read_say(const struct lite_image *image, const struct child_question *question, struct proto_done *done,
              struct lite_words *words, struct why *why)
{
	static struct eyes_seen seen;
	struct lite_look look;
	struct lite_scene scene = {.look = &look,
	                           .objects = &seen.objects,
	                           .faces = &seen.faces,
	                           .labels = lite.eyes.labels.name,
	                           .looked = lite.eyes.objects != NULL,
	                           .words = words};
	char text[LITE_SAY_BYTES];
	uint64_t started = clock_us();
	int error = look_at(image, &look, &seen, why);
	uint64_t looked = clock_us();
	if (error < 0)
		return error;
	lite_say_seen(&scene, text);
	child_piece(question->request, text);
	send_look(question->request, &look);
	send_seen(question->request, &seen);
	uint64_t said = clock_us();
	if (child_cancelled(question->request))
		return SCRY_E_CANCELLED;
	error = read_text(image, question, &scene, words, why);
	uint64_t has_read = clock_us();
	if (error < 0)
		return error;
	lite_say_read(&scene, text);
	child_piece(question->request, text);
	send_words(question->request, words);
	done->encode_us = (uint32_t)(looked - started);
	done->prompt_us = (uint32_t)(has_read - said);
	done->generate_us = (uint32_t)(said - looked + clock_us() - has_read);
	return 0;
}

static int
lite_describe(const struct child_frame *frame, const struct child_question *question, struct proto_done *done,
              char *sentence)
{
	const struct lite_image image = {
		.rgb = frame->rgb, .width = frame->width, .height = frame->height, .stride = frame->stride};
	struct lite_words words = {0};
	struct why why = {""};
	int error = look_read_say(&image, question, done, &words, &why);
	lite_words_clear(&words);
	if (error < 0)
		str_copy(sentence, PROTO_SENTENCE, why.text);
	return error;
}

const struct child_engine child_engine = {.program = "scry-lite", .load = lite_load, .describe = lite_describe};
