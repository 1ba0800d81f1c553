/* lite_judge.c - thresholds and rules by evidence. Pure; in the worker scry-lite and in unit tests.
 *
 * What was seen in the pictures (score of the wrong, then of the right ones):
 *     Person      abstract art 0.43, paint brushes 0.47; people 0.46 and up: so 0.55, or 0.38 around a face
 *     Cat         stained tissue 0.51; cats 0.79 and up          Dog       horse 0.37, face 0.39; dogs 0.54 and up
 *     Coffee cup  drawn mouse 0.46; cups 0.55                    Cattle    bears 0.50; cows 0.71
 *     Vehicle     abstract art 0.44; balloon 0.56                Footwear  balloon's basket 0.51, dog's paw 0.52
 *     Computer monitor, Laptop, Book: any screenshot or page as a whole, up to 0.82: never when they fill the picture
 *     faces, full range: dandelions 0.77, with no short-range finding at the place; faces 0.50 and up with one of 0.6
 */
#include "engine/lite_judge.h"

#include <stdbool.h>
#include <string.h>

#define PERSON "Person"
#define PERSON_ALONE .55f
#define PERSON_WITH_FACE .38f
#define SCREEN_MORE .10f /* things on a screen are icons and drawings more often than pictures */
#define SAME_THING .60f  /* overlap from which two names are of one thing */
#define WHOLE .85f       /* part of the frame from which a box is all of it */

static const struct {
	const char *label;
	float least;
	bool whole; /* may fill the picture */
} classes[] = {
	{PERSON, PERSON_ALONE, true},
	{"Cat", .60f, true},
	{"Dog", .54f, true},
	{"Cattle", .60f, true},
	{"Coffee cup", .50f, true},
	{"Mug", .50f, true},
	{"Bottle", .50f, true},
	{"Table", .50f, true},
	{"Chair", .50f, true},
	{"Desk", .55f, true},
	{"Vehicle", .55f, true},
	{"Car", .50f, true},
	{"Footwear", .60f, true},
	{"Boot", .55f, true},
	{"High heels", .55f, true},
	{"Book", .60f, false},
	{"Box", .60f, false},
	{"Laptop", .60f, false},
	{"Computer monitor", .60f, false},
	{"Computer mouse", .55f, true},
	{"Camera", .55f, true},
	{"Bicycle", .50f, true},
	{"Stationary bicycle", .55f, true},
};

static size_t
class_of(const char *label)
{
	size_t i = 0, count = sizeof(classes) / sizeof(classes[0]);
	while (i < count && strcmp(classes[i].label, label) != 0)
		i++;
	return i;
}

static float
least_of(const char *label)
{
	size_t i = class_of(label);
	return i < sizeof(classes) / sizeof(classes[0]) ? classes[i].least : .60f;
}

float
lite_judge_least(const char *label)
{
	return strcmp(label, PERSON) == 0 ? PERSON_WITH_FACE : least_of(label);
}

/* The best score in `finds` at the place of `box`; 0 when there is none. */
static float
score_at(const struct lite_finds *finds, const float box[4])
{
	float best = 0.f;
	for (size_t i = 0; i < finds->count; i++) {
		if (finds->find[i].score > best && lite_overlap(finds->find[i].box, box) > .3f)
			best = finds->find[i].score;
	}
	return best;
}

static float
person_around(const struct lite_finds *objects, const char *const *labels, const float box[4])
{
	float best = 0.f;
	for (size_t i = 0; i < objects->count; i++) {
		const struct lite_find *find = &objects->find[i];
		if (find->score > best && strcmp(labels[find->kind], PERSON) == 0 && lite_inside(box, find->box) > .8f)
			best = find->score;
	}
	return best;
}

static void
add(struct lite_finds *finds, const struct lite_find *find, float score)
{
	if (finds->count == LITE_FINDS_MAX)
		return;
	finds->find[finds->count] = *find;
	finds->find[finds->count].kind = 0;
	finds->find[finds->count++].score = score;
}

void
lite_judge_faces(const struct lite_finds *full, int have_full, const struct lite_finds *close, int have_short,
                 const struct lite_finds *objects, const char *const *labels, struct lite_finds *faces)
{
	faces->count = 0;
	for (size_t i = 0; have_full && i < full->count; i++) {
		const struct lite_find *find = &full->find[i];
		float other = have_short ? score_at(close, find->box) : 0.f;
		if (find->score >= .82f || (find->score >= .50f && other >= .60f) ||
		    (find->score >= .65f && person_around(objects, labels, find->box) >= PERSON_WITH_FACE))
			add(faces, find, find->score > other ? find->score : other);
	}
	/* Faces that fill the picture are the short-range detector's alone. */
	for (size_t i = 0; have_short && i < close->count; i++) {
		if (close->find[i].score >= .85f && score_at(faces, close->find[i].box) <= 0.f)
			add(faces, &close->find[i], close->find[i].score);
	}
	lite_sort(faces->find, faces->count);
}

static bool
has_face(const struct lite_find *person, const struct lite_finds *faces)
{
	for (size_t i = 0; i < faces->count; i++) {
		if (lite_inside(faces->find[i].box, person->box) > .8f)
			return true;
	}
	return false;
}

static bool
is_believed(const struct lite_find *find, const char *label, const struct lite_finds *faces,
            const struct lite_look *look)
{
	size_t class = class_of(label);
	bool whole = class < sizeof(classes) / sizeof(classes[0]) && classes[class].whole;
	bool photo = look->kind == LITE_PHOTO;
	if (look->kind == LITE_BLANK || (find->box[2] * find->box[3] > WHOLE && (!whole || !photo)))
		return false;
	if (strcmp(label, PERSON) == 0 && has_face(find, faces))
		return find->score >= PERSON_WITH_FACE;
	return find->score >= least_of(label) + (photo ? 0.f : SCREEN_MORE);
}

void
lite_judge_objects(struct lite_finds *objects, const char *const *labels, const struct lite_finds *faces,
                   const struct lite_look *look)
{
	size_t kept = 0;
	lite_sort(objects->find, objects->count);
	for (size_t i = 0; i < objects->count; i++) {
		struct lite_find find = objects->find[i];
		size_t k = 0;
		if (!is_believed(&find, labels[find.kind], faces, look))
			continue;
		while (k < kept && lite_overlap(objects->find[k].box, find.box) <= SAME_THING)
			k++;
		if (k == kept)
			objects->find[kept++] = find;
	}
	objects->count = kept;
}
