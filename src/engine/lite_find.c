/* lite_find.c - findings: overlap, order, suppression. Pure; in the worker scry-lite and in unit tests. */
#include "engine/lite_find.h"

#include <math.h>
#include <stdlib.h>

float
lite_sigmoid(float x)
{
	return 1.f / (1.f + expf(-x));
}

static float
area(const float box[4])
{
	return box[2] > 0.f && box[3] > 0.f ? box[2] * box[3] : 0.f;
}

static float
common(const float a[4], const float b[4])
{
	float width = fminf(a[0] + a[2], b[0] + b[2]) - fmaxf(a[0], b[0]);
	float height = fminf(a[1] + a[3], b[1] + b[3]) - fmaxf(a[1], b[1]);
	return width > 0.f && height > 0.f ? width * height : 0.f;
}

float
lite_overlap(const float a[4], const float b[4])
{
	float both = common(a, b), either = area(a) + area(b) - both;
	return either > 0.f ? both / either : 0.f;
}

float
lite_inside(const float inner[4], const float outer[4])
{
	float all = area(inner);
	return all > 0.f ? common(inner, outer) / all : 0.f;
}

static int
compare(const void *left, const void *right)
{
	const struct lite_find *a = left, *b = right;
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	for (int i = 0; i < 4; i++) {
		if (a->box[i] != b->box[i])
			return a->box[i] < b->box[i] ? -1 : 1;
	}
	return a->kind < b->kind ? -1 : a->kind > b->kind;
}

void
lite_sort(struct lite_find *finds, size_t count)
{
	if (count > 1)
		qsort(finds, count, sizeof(*finds), compare);
}

size_t
lite_suppress(struct lite_find *finds, size_t count, float overlap)
{
	size_t kept = 0;
	lite_sort(finds, count);
	for (size_t i = 0; i < count; i++) {
		size_t j = 0;
		while (j < kept && (finds[j].kind != finds[i].kind || lite_overlap(finds[j].box, finds[i].box) <= overlap))
			j++;
		if (j == kept)
			finds[kept++] = finds[i];
	}
	return kept;
}

/* Takes all findings that overlap the first one out of finds[0..count) and returns their mean; *left gets how many
 * stay, moved to the front in order. */
static struct lite_find
take_cluster(struct lite_find *finds, size_t count, float overlap, size_t *left)
{
	struct lite_find mean = {.score = finds[0].score, .kind = finds[0].kind}, best = finds[0];
	float weight = 0.f;
	size_t stay = 0;
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && lite_overlap(best.box, finds[i].box) <= overlap) {
			finds[stay++] = finds[i];
			continue;
		}
		for (int k = 0; k < 4; k++)
			mean.box[k] += finds[i].score * finds[i].box[k];
		weight += finds[i].score;
	}
	for (int k = 0; k < 4; k++)
		mean.box[k] = weight > 0.f ? mean.box[k] / weight : best.box[k];
	*left = stay;
	return mean;
}

size_t
lite_blend(struct lite_find *finds, size_t count, float overlap)
{
	size_t kept = 0;
	lite_sort(finds, count);
	while (count > 0) {
		struct lite_find mean = take_cluster(finds + kept, count, overlap, &count);
		/* The cluster took at least its first, so there is room before those that stay. */
		for (size_t i = count; i > 0; i--)
			finds[kept + i] = finds[kept + i - 1];
		finds[kept++] = mean;
	}
	return kept;
}

void
lite_clip(float box[4])
{
	for (int i = 0; i < 2; i++) {
		float from = fminf(fmaxf(box[i], 0.f), 1.f), to = fminf(fmaxf(box[i] + box[i + 2], 0.f), 1.f);
		box[i] = from;
		box[i + 2] = fmaxf(to - from, 0.f);
	}
}
