/* files.h - where model files are on this machine. Looks, never opens; runs in the core. */
#ifndef MODEL_FILES_H
#define MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define FILES_PATH 512

/* Folders that are searched for models, first to last. */
struct files_places {
	unsigned count;
	char folder[8][FILES_PATH];
};

/* `models` (may be NULL): the caller's own folder, searched before $SCRY_MODELS, $XDG_DATA_HOME/scry/models,
 * /var/lib/scry/models, and the installed share folder. */
void files_places(const char *models, struct files_places *out);

/* One more place, FOLDER/models, searched after those that are there. */
void files_add_place(struct files_places *places, const char *folder);

/* The folder that `scry pull` writes to: the first place. "" when there is none (no home, no setting). */
const char *files_home(const struct files_places *places);

/* Writes the path of `name` ("lite/objects.tflite") in the first place that has it. False: nowhere. */
bool files_find(const struct files_places *places, const char *name, char path[FILES_PATH]);

/* Called for each installed Tesseract language: "eng", its .traineddata file. */
typedef void (*files_language_fn)(void *user, const char *language, const char *path);

/* Languages in $TESSDATA_PREFIX, else in the folders that distributions use. Returns their number. */
unsigned files_languages(files_language_fn each, void *user);

#endif
