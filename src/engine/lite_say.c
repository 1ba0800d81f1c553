/* lite_say.c - sentences. Pure; in the worker scry-lite and in unit tests (tests/unit/test_lite_say.c is the golden
 * table). */
#include "engine/lite_say.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define GROUPS_MAX 24
#define GROUPS_SAID 5
#define TEXT_SAID_PHOTO 160 /* characters; all words are among the items */
#define TEXT_SAID 400

struct said {
	char *to;
	size_t used;
};

static void say(struct said *said, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct said *said, const char *format, ...)
{
	char part[LITE_SAY_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	str_copy(said->to + said->used, LITE_SAY_BYTES - said->used, part);
	said->used += strlen(said->to + said->used);
}

/* --- things and numbers -------------------------------------------------------------------------------------- */

/* Names whose plural or singular is not made by rule. */
static const struct {
	const char *label, *one, *many;
} names[] = {
	{"Person", "one person", "people"},
	{"Computer mouse", "a computer mouse", "computer mice"},
	{"Footwear", "footwear", NULL},
	{"Cattle", "cattle", NULL},
	{"High heels", "a high-heeled shoe", "high-heeled shoes"},
	{"Box", "a box", "boxes"},
	{"face", "one face", "faces"},
};

static const char *const numbers[] = {"no",    "one",   "two",  "three", "four",   "five",  "six",
                                      "seven", "eight", "nine", "ten",   "eleven", "twelve"};

void
lite_say_count(const char *label, size_t count, char *to, size_t size)
{
	char name[LITE_WORD_BYTES], number[24];
	const char *one = NULL, *many = NULL;
	bool mass = false;
	str_copy(name, sizeof(name), label);
	name[0] = (char)tolower((unsigned char)name[0]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].label, label) == 0) {
			one = names[i].one;
			many = names[i].many;
			mass = many == NULL;
		}
	}
	snprintf(number, sizeof(number), "%zu", count);
	const char *how_many = count < sizeof(numbers) / sizeof(numbers[0]) ? numbers[count] : number;
	if (one != NULL && (count == 1 || mass))
		str_copy(to, size, one);
	else if (count == 1)
		snprintf(to, size, "%s %s", strchr("aeiou", name[0]) != NULL && name[0] != '\0' ? "an" : "a", name);
	else
		snprintf(to, size, "%s %s%s", how_many, many != NULL ? many : name, many != NULL ? "" : "s");
}

/* --- places --------------------------------------------------------------------------------------------------- */

const char *
lite_say_place(const float box[4])
{
	static const char *const places[3][3] = {
		{"at the top left", "at the top", "at the top right"},
		{"on the left", "in the centre", "on the right"},
		{"at the bottom left", "at the bottom", "at the bottom right"},
	};
	float x = box[0] + box[2] / 2.f, y = box[1] + box[3] / 2.f;
	int column = x < .36f ? 0 : x > .64f ? 2 : 1, row = y < .30f ? 0 : y > .70f ? 2 : 1;
	/* What takes half of the height is neither at the top nor at the bottom. */
	return places[box[3] >= .5f ? 1 : row][column];
}

/* Findings of one kind, told together. */
struct group {
	const char *label;
	size_t count;
	const float *box[2]; /* the first two */
	const char *place;   /* of all of them; NULL when they are in several */
	float weight;
};

static void
add_to_group(struct group *groups, size_t *count, const char *label, const struct lite_find *find)
{
	size_t i = 0;
	while (i < *count && strcmp(groups[i].label, label) != 0)
		i++;
	if (i == GROUPS_MAX)
		return;
	struct group *group = &groups[i];
	const char *place = lite_say_place(find->box);
	if (i == *count) {
		*group = (struct group){.label = label, .place = place};
		++*count;
	}
	if (group->count < 2)
		group->box[group->count] = find->box;
	group->count++;
	if (group->place != NULL && strcmp(group->place, place) != 0)
		group->place = NULL;
	/* People first, then what is large and certain. */
	group->weight += find->score * sqrtf(find->box[2] * find->box[3]) + (strcmp(label, "Person") == 0 ? 10.f : 0.f);
}

static bool
is_in_person(const struct lite_scene *scene, const float box[4])
{
	for (size_t i = 0; i < scene->objects->count; i++) {
		const struct lite_find *find = &scene->objects->find[i];
		if (strcmp(scene->labels[find->kind], "Person") == 0 && lite_inside(box, find->box) > .6f)
			return true;
	}
	return false;
}

/* A person's face is the person; a face without one is told by itself. */
static size_t
make_groups(const struct lite_scene *scene, struct group groups[GROUPS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < scene->objects->count; i++)
		add_to_group(groups, &count, scene->labels[scene->objects->find[i].kind], &scene->objects->find[i]);
	for (size_t i = 0; i < scene->faces->count; i++) {
		if (!is_in_person(scene, scene->faces->find[i].box))
			add_to_group(groups, &count, "face", &scene->faces->find[i]);
	}
	for (size_t i = 1; i < count; i++) {
		struct group group = groups[i];
		size_t j = i;
		for (; j > 0 && groups[j - 1].weight < group.weight; j--)
			groups[j] = groups[j - 1];
		groups[j] = group;
	}
	return count;
}

static bool
is_close_up(const struct lite_scene *scene, const struct group *group)
{
	if (group->count != 1)
		return false;
	if (strcmp(group->label, "Person") != 0 && strcmp(group->label, "face") != 0)
		return group->box[0][2] * group->box[0][3] >= .45f;
	for (size_t i = 0; i < scene->faces->count; i++) {
		if (scene->faces->find[i].box[3] >= .4f && lite_inside(scene->faces->find[i].box, group->box[0]) > .6f)
			return true;
	}
	return false;
}

static void
say_group(struct said *said, const struct lite_scene *scene, const struct group *group, bool alone)
{
	char what[LITE_WORD_BYTES + 32];
	lite_say_count(group->label, group->count, what, sizeof(what));
	if (alone && is_close_up(scene, group))
		say(said, "%s, close up", what);
	else if (group->place != NULL)
		say(said, "%s %s", what, group->place);
	else if (group->count == 2) /* from left to right */
		say(said, "%s %s and %s", what, lite_say_place(group->box[group->box[0][0] > group->box[1][0]]),
		    lite_say_place(group->box[group->box[0][0] <= group->box[1][0]]));
	else
		say(said, "%s", what);
}

static void
say_groups(struct said *said, const struct lite_scene *scene, const struct group *groups, size_t count)
{
	size_t shown = count > GROUPS_SAID ? GROUPS_SAID : count, more = 0;
	for (size_t i = 0; i < shown; i++) {
		if (i > 0)
			say(said, ", ");
		say_group(said, scene, &groups[i], count == 1);
	}
	for (size_t i = shown; i < count; i++)
		more += groups[i].count;
	if (more > 0) {
		char number[24];
		snprintf(number, sizeof(number), "%zu", more);
		say(said, " and %s more thing%s", more < sizeof(numbers) / sizeof(numbers[0]) ? numbers[more] : number,
		    more == 1 ? "" : "s");
	}
}

/* --- the picture as a whole --------------------------------------------------------------------------------- */

/* ", mostly dark blue and black": up to three colours that together are most of the picture. */
static void
say_colors(struct said *said, const struct lite_look *look)
{
	const struct lite_color *color = look->colors;
	size_t count = 0;
	float sum = 0.f;
	while (count < 3 && color[count].name != NULL && color[count].share >= .12f && sum < .75f)
		sum += color[count++].share;
	if (count == 0 || sum < .4f) {
		say(said, ", in many colours");
		return;
	}
	const char *how = color[0].share >= .97f ? "all" : "mostly";
	if (count == 1)
		say(said, ", %s %s", how, color[0].name);
	else if (count == 2)
		say(said, ", mostly %s and %s", color[0].name, color[1].name);
	else
		say(said, ", mostly %s, %s and %s", color[0].name, color[1].name, color[2].name);
}

static const char *
picture_name(const struct lite_look *look)
{
	if (look->kind == LITE_BLANK)
		return "A blank picture";
	if (look->kind == LITE_PAGE)
		return "A page";
	if (look->kind == LITE_SCREEN)
		return "A screen";
	if (look->drawn)
		return "A drawn picture";
	return look->measure.brightness < .08f ? "A dark photo" : "A photo";
}

void
lite_say_seen(const struct lite_scene *scene, char *to)
{
	struct said said = {.to = to};
	struct group groups[GROUPS_MAX];
	size_t count = make_groups(scene, groups);
	to[0] = '\0';
	if (count > 0 && scene->look->kind == LITE_PHOTO) {
		say_groups(&said, scene, groups, count);
		to[0] = (char)toupper((unsigned char)to[0]);
		return;
	}
	say(&said, "%s", picture_name(scene->look));
	say_colors(&said, scene->look);
	if (count > 0) {
		say(&said, ", with ");
		say_groups(&said, scene, groups, count);
	} else if (scene->look->kind == LITE_PHOTO) {
		say(&said, scene->looked ? "; nothing that this model knows" : "; no model to name things with");
	}
}

void
lite_say_read(const struct lite_scene *scene, char *to)
{
	struct said said = {.to = to};
	bool photo = scene->look->kind == LITE_PHOTO;
	char text[LITE_SAY_BYTES - 64] = "";
	to[0] = '\0';
	if (scene->reading == LITE_READ_NO_DATA && !photo)
		say(&said, "; text that was not read, for want of language data");
	if (scene->reading == LITE_READ && scene->words->count == 0 && !photo)
		say(&said, "; no text that can be read");
	if (scene->reading == LITE_READ && scene->words->count > 0) {
		lite_words_text(scene->words, false, photo ? TEXT_SAID_PHOTO : TEXT_SAID, text, sizeof(text));
		size_t end = strlen(text); /* a comma before our full stop helps nobody */
		while (end > 0 && strchr(",;:-", text[end - 1]) != NULL)
			text[--end] = '\0';
		say(&said, "; text: %s", text);
	}
	if (text[0] == '\0' || strchr(".!?", text[strlen(text) - 1]) == NULL)
		say(&said, ".");
}
