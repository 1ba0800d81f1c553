/* test_lite_say.c - the sentences: a golden table, and the rules of what is believed before it is said. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/lite_judge.h"
#include "engine/lite_say.h"

static const char *const labels[] = {"???",        "Person", "Cat",    "Dog",  "Coffee cup",
                                     "Footwear",   "Box",    "Cattle", "Book", "Computer mouse",
                                     "High heels", "Car",    "Laptop", "Apple"};
enum { PERSON = 1, CAT, DOG, CUP, FOOTWEAR, BOX, CATTLE, BOOK, MOUSE, HEELS, CAR, LAPTOP, APPLE };

#define CENTRE                                                                                                         \
	{                                                                                                                  \
		.4f, .4f, .2f, .2f                                                                                             \
	}
#define LEFT                                                                                                           \
	{                                                                                                                  \
		.05f, .4f, .2f, .2f                                                                                            \
	}
#define RIGHT                                                                                                          \
	{                                                                                                                  \
		.75f, .4f, .2f, .2f                                                                                            \
	}
#define TOP_LEFT                                                                                                       \
	{                                                                                                                  \
		0.f, 0.f, .2f, .2f                                                                                             \
	}
#define BOTTOM                                                                                                         \
	{                                                                                                                  \
		.4f, .8f, .2f, .2f                                                                                             \
	}
#define LARGE                                                                                                          \
	{                                                                                                                  \
		.02f, .02f, .9f, .9f                                                                                           \
	}
#define TALL                                                                                                           \
	{                                                                                                                  \
		.4f, .05f, .2f, .9f                                                                                            \
	}

struct golden {
	const char *want;
	enum lite_kind kind;
	struct lite_find objects[8]; /* kind 0 ends the list */
	struct lite_find faces[3];   /* score 0 ends the list */
	const char *words;           /* NULL: nothing was to be read */
	bool blind;                  /* no object detector */
	bool no_data;                /* no language data */
	struct lite_color colors[3];
	float brightness;
	bool drawn;
};

static const struct golden golden[] = {
	{"A cat, close up.", LITE_PHOTO, {{LARGE, .9f, CAT}}, {{{0}}}},
	{"A cat in the centre.", LITE_PHOTO, {{CENTRE, .9f, CAT}}, {{{0}}}},
	{"An apple on the left.", LITE_PHOTO, {{LEFT, .9f, APPLE}}, {{{0}}}},
	{"One person in the centre, a coffee cup on the left; text: EXIT.",
     LITE_PHOTO,
     {{LEFT, .6f, CUP}, {TALL, .6f, PERSON}},
     {{{0}}},
     "EXIT"},
	{"One person in the centre.", LITE_PHOTO, {{TALL, .6f, PERSON}}, {{{.45f, .1f, .1f, .1f}, .9f, 0}}},
	{"One person, close up.", LITE_PHOTO, {{LARGE, .6f, PERSON}}, {{{.3f, .2f, .4f, .5f}, .9f, 0}}},
	{"One face, close up.", LITE_PHOTO, {{{0}}}, {{{.2f, .2f, .6f, .6f}, .9f, 0}}},
	{"One face at the top left.", LITE_PHOTO, {{{0}}}, {{TOP_LEFT, .9f, 0}}},
	{"Two faces on the left and on the right.", LITE_PHOTO, {{{0}}}, {{RIGHT, .9f, 0}, {LEFT, .8f, 0}}},
	{"Two people on the left and on the right.", LITE_PHOTO, {{RIGHT, .9f, PERSON}, {LEFT, .8f, PERSON}}, {{{0}}}},
	{"Two people on the left.", LITE_PHOTO, {{LEFT, .9f, PERSON}, {LEFT, .8f, PERSON}}, {{{0}}}},
	{"Three people.", LITE_PHOTO, {{LEFT, .9f, PERSON}, {RIGHT, .8f, PERSON}, {CENTRE, .7f, PERSON}}, {{{0}}}},
	{"Three boxes in the centre.", LITE_PHOTO, {{CENTRE, .9f, BOX}, {CENTRE, .8f, BOX}, {CENTRE, .7f, BOX}}, {{{0}}}},
	{"Footwear at the bottom.", LITE_PHOTO, {{BOTTOM, .9f, FOOTWEAR}, {BOTTOM, .8f, FOOTWEAR}}, {{{0}}}},
	{"Cattle on the right.", LITE_PHOTO, {{RIGHT, .9f, CATTLE}}, {{{0}}}},
	{"A high-heeled shoe at the bottom.", LITE_PHOTO, {{BOTTOM, .9f, HEELS}}, {{{0}}}},
	{"Two computer mice in the centre.", LITE_PHOTO, {{CENTRE, .9f, MOUSE}, {CENTRE, .8f, MOUSE}}, {{{0}}}},
	{"One person on the left, two dogs in the centre, a car on the right.",
     LITE_PHOTO,
     {{RIGHT, .6f, CAR}, {CENTRE, .9f, DOG}, {CENTRE, .9f, DOG}, {LEFT, .6f, PERSON}},
     {{{0}}}},
	{"One person on the left, a cat in the centre, a dog in the centre, a coffee cup in the centre, a box in the "
     "centre and one more thing.",
     LITE_PHOTO,
     {{CENTRE, .95f, CAT},
      {CENTRE, .94f, DOG},
      {CENTRE, .93f, CUP},
      {CENTRE, .92f, BOX},
      {LEFT, .5f, PERSON},
      {RIGHT, .5f, CAR}},
     {{{0}}}},
	{"One person on the left, one face on the right.", LITE_PHOTO, {{LEFT, .9f, PERSON}}, {{RIGHT, .9f, 0}}},
	{"A photo, mostly dark blue and black; nothing that this model knows.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     NULL,
     false,
     false,
     {{"dark blue", .5f}, {"black", .3f}},
     .3f},
	{"A dark photo, mostly black; nothing that this model knows.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     NULL,
     false,
     false,
     {{"black", .9f}},
     .02f},
	{"A photo, in many colours; nothing that this model knows.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     NULL,
     false,
     false,
     {{"red", .1f}, {"blue", .1f}},
     .4f},
	{"A drawn picture, mostly red, blue and white; nothing that this model knows.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     NULL,
     false,
     false,
     {{"red", .3f}, {"blue", .2f}, {"white", .2f}},
     .4f,
     true},
	{"A photo, mostly green; no model to name things with.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     NULL,
     true,
     false,
     {{"green", .8f}},
     .4f},
	{"A photo, mostly red; nothing that this model knows; text: STOP.",
     LITE_PHOTO,
     {{{0}}},
     {{{0}}},
     "STOP",
     false,
     false,
     {{"red", .8f}},
     .4f},
	{"A blank picture, all white.", LITE_BLANK, {{{0}}}, {{{0}}}, NULL, false, false, {{"white", 1.f}}, 1.f},
	{"A screen, mostly black; text: make check 12 passed.",
     LITE_SCREEN,
     {{{0}}},
     {{{0}}},
     "make check 12 passed.",
     false,
     false,
     {{"black", .9f}},
     .1f},
	{"A screen, mostly white, with a cat on the left; text: File Edit.",
     LITE_SCREEN,
     {{LEFT, .9f, CAT}},
     {{{0}}},
     "File Edit",
     false,
     false,
     {{"white", .9f}},
     .9f},
	{"A page, mostly white; no text that can be read.",
     LITE_PAGE,
     {{{0}}},
     {{{0}}},
     "",
     false,
     false,
     {{"white", .9f}},
     .9f},
	{"A page, mostly white; text that was not read, for want of language data.",
     LITE_PAGE,
     {{{0}}},
     {{{0}}},
     NULL,
     false,
     true,
     {{"white", .9f}},
     .9f},
	{"A page, mostly white; text: Is it?", LITE_PAGE, {{{0}}}, {{{0}}}, "Is it?", false, false, {{"white", .9f}}, .9f},
	{"A page, mostly white; text: first, second.",
     LITE_PAGE,
     {{{0}}},
     {{{0}}},
     "first, second,",
     false,
     false,
     {{"white", .9f}},
     .9f},
};

static size_t
split(const char *text, struct lite_word *words)
{
	size_t count = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		words[count] = (struct lite_word){.score = .9f};
		memcpy(words[count++].text, text, n);
		text += n + (text[n] == ' ');
	}
	return count;
}

static void
test_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(golden); i++) {
		const struct golden *g = &golden[i];
		static struct lite_finds objects, faces;
		static struct lite_word word[16];
		char text[2 * LITE_SAY_BYTES], read[LITE_SAY_BYTES];
		struct lite_look look = {.kind = g->kind, .drawn = g->drawn, .measure = {.brightness = g->brightness}};
		struct lite_words words = {.word = word};
		struct lite_scene scene = {.look = &look,
		                           .objects = &objects,
		                           .faces = &faces,
		                           .labels = labels,
		                           .looked = !g->blind,
		                           .words = &words};
		objects.count = faces.count = 0;
		for (size_t k = 0; k < COUNT(g->objects) && g->objects[k].kind != 0; k++)
			objects.find[objects.count++] = g->objects[k];
		for (size_t k = 0; k < COUNT(g->faces) && g->faces[k].score > 0; k++)
			faces.find[faces.count++] = g->faces[k];
		memcpy(look.colors, g->colors, sizeof(g->colors));
		words.count = g->words != NULL ? split(g->words, word) : 0;
		scene.reading = g->no_data ? LITE_READ_NO_DATA : g->words != NULL ? LITE_READ : LITE_READ_NOT;
		lite_say_seen(&scene, text);
		lite_say_read(&scene, read);
		strcat(text, read);
		assert_string_equal(text, g->want);
	}
}

static void
test_places(void **state)
{
	(void)state;
	assert_string_equal(lite_say_place((float[]){.4f, .4f, .2f, .2f}), "in the centre");
	assert_string_equal(lite_say_place((float[]){0.f, .8f, .1f, .1f}), "at the bottom left");
	assert_string_equal(lite_say_place((float[]){.8f, 0.f, .1f, .1f}), "at the top right");
	assert_string_equal(lite_say_place((float[]){.4f, 0.f, .2f, .1f}), "at the top");
	assert_string_equal(lite_say_place((float[]){0.f, 0.f, .2f, .55f}), "on the left");
}

static void
check_count(const char *label, size_t count, const char *want)
{
	char text[64];
	lite_say_count(label, count, text, sizeof(text));
	assert_string_equal(text, want);
}

static void
test_counts(void **state)
{
	(void)state;
	check_count("Cat", 1, "a cat");
	check_count("Apple", 1, "an apple");
	check_count("Person", 1, "one person");
	check_count("Person", 14, "14 people");
	check_count("Coffee cup", 2, "two coffee cups");
	check_count("Box", 12, "twelve boxes");
	check_count("Footwear", 3, "footwear");
	check_count("High heels", 2, "two high-heeled shoes");
	check_count("face", 1, "one face");
}

static struct lite_finds
one(float x, float y, float width, float height, float score, unsigned kind)
{
	return (struct lite_finds){.find = {{{x, y, width, height}, score, kind}}, .count = 1};
}

static void
test_faces(void **state)
{
	(void)state;
	static struct lite_finds none, faces;
	struct lite_finds full = one(.4f, .1f, .1f, .1f, .60f, 0), close = one(.4f, .1f, .1f, .1f, .7f, 0);
	struct lite_finds person = one(.3f, 0.f, .3f, .9f, .40f, PERSON);
	lite_judge_faces(&full, 1, &none, 1, &none, labels, &faces);
	assert_int_equal(faces.count, 0); /* one detector, not sure of it */
	lite_judge_faces(&full, 1, &close, 1, &none, labels, &faces);
	assert_int_equal(faces.count, 1); /* both */
	assert_true(faces.find[0].score == .7f);
	lite_judge_faces(&full, 1, &none, 1, &person, labels, &faces);
	assert_int_equal(faces.count, 0);
	full.find[0].score = .66f;
	lite_judge_faces(&full, 1, &none, 1, &person, labels, &faces);
	assert_int_equal(faces.count, 1); /* in a person */
	full.find[0].score = .83f;
	lite_judge_faces(&full, 1, &none, 0, &none, labels, &faces);
	assert_int_equal(faces.count, 1); /* sure of it */
	close.find[0].score = .84f;
	lite_judge_faces(&none, 0, &close, 1, &none, labels, &faces);
	assert_int_equal(faces.count, 0);
	close.find[0].score = .86f;
	lite_judge_faces(&none, 0, &close, 1, &none, labels, &faces);
	assert_int_equal(faces.count, 1);
}

static size_t
believed(struct lite_finds objects, const struct lite_finds *faces, enum lite_kind kind)
{
	struct lite_look look = {.kind = kind};
	lite_judge_objects(&objects, labels, faces, &look);
	return objects.count;
}

static void
test_objects(void **state)
{
	(void)state;
	static struct lite_finds none;
	struct lite_finds face = one(.45f, .1f, .1f, .1f, .9f, 0);
	assert_int_equal(believed(one(.4f, 0, .2f, .9f, .50f, PERSON), &none, LITE_PHOTO), 0);
	assert_int_equal(believed(one(.4f, 0, .2f, .9f, .50f, PERSON), &face, LITE_PHOTO), 1);
	assert_int_equal(believed(one(.4f, 0, .2f, .9f, .56f, PERSON), &none, LITE_PHOTO), 1);
	assert_int_equal(believed(one(.4f, 0, .2f, .9f, .60f, PERSON), &none, LITE_SCREEN), 0);
	assert_int_equal(believed(one(0, 0, 1, 1, .99f, CAT), &none, LITE_PHOTO), 1);
	assert_int_equal(believed(one(0, 0, 1, 1, .99f, CAT), &none, LITE_SCREEN), 0);
	assert_int_equal(believed(one(0, 0, 1, 1, .99f, CAT), &none, LITE_BLANK), 0);
	assert_int_equal(believed(one(0, 0, 1, .99f, .99f, LAPTOP), &none, LITE_PHOTO), 0);
	assert_int_equal(believed(one(0, 0, .5f, .5f, .65f, LAPTOP), &none, LITE_PHOTO), 1);
	assert_int_equal(believed(one(0, 0, .5f, .5f, .59f, APPLE), &none, LITE_PHOTO), 0); /* a class without evidence */
	struct lite_finds two = one(.1f, .1f, .5f, .5f, .7f, CAT);
	two.find[two.count++] = (struct lite_find){{.12f, .1f, .5f, .5f}, .8f, DOG};
	assert_int_equal(believed(two, &none, LITE_PHOTO), 1); /* one animal, the likelier name */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_places),  cmocka_unit_test(test_counts),
		cmocka_unit_test(test_faces),  cmocka_unit_test(test_objects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
