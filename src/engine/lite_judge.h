/* lite_judge.h - which findings to believe. Pure functions, in the worker scry-lite and in unit tests.
 *
 * A detector names something in every picture; here it is decided what is said. Thresholds and rules were chosen on
 * some 1,700 pictures of Debian packages (wallpapers, photos of manuals, screenshots) looked at one by one: see
 * lite_judge.c. What is below its threshold is not guessed at.
 */
#ifndef ENGINE_LITE_JUDGE_H
#define ENGINE_LITE_JUDGE_H

#include "engine/lite_find.h"
#include "engine/lite_look.h"

#define LITE_FINDS_MAX 128   /* findings of one picture that are kept at all */
#define LITE_FACE_LEAST .30f /* scores below this are not worth decoding */

struct lite_finds {
	struct lite_find find[LITE_FINDS_MAX];
	size_t count;
};

/* The score from which a class is decoded, by its name in the label map. */
float lite_judge_least(const char *label);

/* Joins what the two face detectors found (either may be empty; `have_full`, `have_short`: whether it ran) into
 * *faces, with the better score and the full-range box where both agree. `objects` may hold persons: a face inside
 * one is believed sooner. */
void lite_judge_faces(const struct lite_finds *full, int have_full, const struct lite_finds *close, int have_short,
                      const struct lite_finds *objects, const char *const *labels, struct lite_finds *faces);

/* Drops from `objects` what is not to be believed in this picture, and the lesser of two names for one thing. */
void lite_judge_objects(struct lite_finds *objects, const char *const *labels, const struct lite_finds *faces,
                        const struct lite_look *look);

#endif
